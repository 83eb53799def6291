"""Words by which a follow-up question is known, in the languages of brain/rewrite.py. Everything is folded."""

_LEADS = """
and or but also y e o pero et mais ou und aber oder ed ma oppure och
و او ولكن طيب और या लेकिन तो
"""
_PRONOUNS = """
it its this that these those them they their one ones he she him her
eso esto esa ese esos esas esta este estos estas ello ella ellos ellas
isso isto esse essa esses essas este esta ele ela eles elas dele dela deles
ca cela ceci celui celle ceux celles il elle ils elles en leur
das dies dieses dieser diese es er sie ihn ihm davon dafur damit darin dazu denen
questo questa questi queste quello quella lo ne esso essa loro ci
هذا هذه ذلك تلك هو هي لها منه منها عليه عليها فيه فيها ذاك
यह वह ये वे इसका इसकी इसके उसका उसकी उसके इसे उसे इसमें उसमें
"""
_ASKING = """
how much many long far often old when where why who which what since until
cuanto cuanta cuantos cuantas cuando donde como por que quien cual cuales hasta desde
quanto quanta quantos quantas quando onde porque quem qual quais ate
combien quand ou pourquoi qui quel quelle quels quelles comment
wieviel wie viel wann wo warum wer was welche welcher welches lange bis seit teuer
quanti quante dove come perche chi quale quali
كم متي اين لماذا من كيف ماذا ما بكم هل
कितना कितनी कितने कब कहां कहाँ क्यों कौन कैसे क्या
"""
_TIMES = """
today tomorrow tonight now weekend weekends weekday weekdays holidays morning evening night noon week day
days month year summer winter
hoy manana noche tarde ahora festivos finde semana dia dias mes verano invierno
hoje amanha noite agora feriados fim verao
aujourd hui demain soir matin maintenant feries dimanche lundi mardi mercredi jeudi vendredi samedi
dimanches lundis mardis mercredis
jeudis vendredis samedis weekends semaine jour ete hiver
heute morgen abend jetzt feiertagen sonntag montag dienstag mittwoch donnerstag freitag samstag sonntags
montags dienstags mittwochs
donnerstags freitags samstags wochenende sonntagen samstagen woche tag sommer
oggi domani sera mattina domenica lunedi martedi mercoledi giovedi venerdi sabato settimana giorno estate
inverno
اليوم غدا الليله مساء صباحا
आज कल रविवार सोमवार मंगलवार बुधवार गुरुवार शुक्रवार शनिवार
"""
_YOU = """
you your yours u i we my our usted ustedes vosotros tu te os voces voce vous votre vos nous je ihr euch euer
eure wir ich mein unser
voi vostro io noi انتم انت لديكم عندكم आप आपका आपकी मैं हम
"""
_VERBS = """
do does did can could may is are was will would should have has must need offer sell accept take
teneis tienen tiene tengo hay puedo puede pueden podeis se son esta estan aceptan aceptais venden vendeis
haceis hacen ofreceis necesito
debo cuesta cuestan abris abren cierran quiero
tem ha posso pode podem sao aceitam vendem fazem preciso custa custam abrem quero
avez ont peut puis peux pouvez est sont faites acceptez vendez dois faut coute coutent ouvrez vendre ya
habt haben hat kann kannst konnt konnen ist sind gibt macht nehmt verkauft muss kostet kosten braucht offnet
bietet
avete hanno posso potete puo sono fate accettate vendete devo costa costano aprite
هل يوجد توجد لديكم عندكم يمكن يمكنني تقدمون تبيعون
है हैं करते सकता सकते मिलता
"""
_OTHER_STOP = """
le la les un une des du de d l a au aux et en dans sur pour avec sans par ce cet cette est sont c s il y me
m se qu que
pas plus tres bien s il vous plait aussi alors donc chez vers mon ma mes
der die das den dem des ein eine einen einem einer im in am an auf aus bei mit nach von vor zu zum zur fur
uber unter um und oder
ist sind war denn auch noch schon nur nicht kein keine so dann bitte mal ja nein hier da es gibt macht man
il lo gli i la le un uno una di del della dei delle da dal in nel nella su sul con per tra fra e ed o che
non piu anche allora poi
si mi ti ci vi mio mia c e per favore
के का की को में से पर और है हैं था तो भी ही हो क्या मुझे मेरा कर
في على عن مع الى
costs cost cuesta cuestan vale custa custam coute coutent kostet kosten costa costano prix precio preis
preco prezzo price
"""

LEADS = frozenset(_LEADS.split())
"""What a follow-up begins with."""
PRONOUNS = frozenset(_PRONOUNS.split())
"""What stands for something that was named before."""
ASKING = frozenset(_ASKING.split())
"""Question words."""
TIMES = frozenset(_TIMES.split())
"""When; days of the week stand in brain/days.py, too."""
YOU = frozenset(_YOU.split())
"""Who speaks, and who is spoken to."""
VERBS = frozenset(_VERBS.split())
"""Verbs that make a question of its own."""
OTHER_STOP = frozenset(_OTHER_STOP.split())
"""Words that say nothing alone, beside those of brain/vocabulary.py."""
