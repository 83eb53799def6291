"""What customers say, in general: words without weight, synonyms, and how questions name their answer.

Nothing here belongs to one trade. Everything is folded (lower case, no accents).
"""

_ENGLISH = """
a about above after again all also am an and any anybody anyone anything are aren as ask at available be
because been before being below between both but by can cannot cant could couldn d did didn do does doesn
doing don done dont down during each else ever every few find for from further get give go going good got
had has hasn have haven having he hello help her here hers hey hi him his how i if im in into is isn it its
just kind kindly know let like ll long looking m make many may maybe me might mine more most much must my
need no nor not now of off offer ok on once only onto or other our ours out over own per please possible
provide re really s same say see shall she should so some somebody someone something soon sort still such
suggest sure t take tell than thank thanks that the their them then there these they thing things this those
through to too try type under until up us use usually ve very want was way we well were what whats when
where wheres which while who whom whose why will with within without won would wouldn yes yet you your yours
happens happen often able anyway around already always actually policy policies info information details
detail question questions user users kind kinds available right
"""
_SPANISH = """
al algo alguien algun alguna algunas algunos ante aqui asi aun aunque bien buenas buenos cada como con
contra cosa cual cuales cuando cuanta cuantas cuanto cuantos de debo del desde donde durante e el ella ellos
en entre era eres es esa ese eso esta estan estar este esto estos estoy favor fue gracias gustaria ha hace
hacer hacen hacia han hasta hay hola la las le les lo los mas me mi mis mucho muy nada necesito ni no nos
nosotros o ofrece ofrecen ofreceis os otra otro para pasa pero poco por porque pueda puede pueden puedes
puedo pues que queria quien quiero saber se sea segun ser si sin sobre sois somos son soy su sus tal tambien
tan tanto te teneis tenemos tener tengo tiene tienen tienes todo todos tu tus un una unas uno unos usted
ustedes va vais vosotros vuestra vuestro y ya yo hacemos habeis
"""
_PORTUGUESE = """
ai alguem ao aos aquele as ate com da das dele do dos ela eles em era essa esse estao estou eu fazem fazer
foi gostaria ha isso isto ja la lhe mais mas meu meus minha minhas muito na nao nas nem no nos nossa nosso
num numa o obrigado obrigada onde os ou ola pela pelo podem pode posso por qual quais quando quanto quanta
quantos que quem quero sao se sei sem seu seus sim so sou sua suas tem tenho temos teu tua um uma umas uns
voce voces
"""
_ARABIC = """
ما ماذا هل من في علي الي عن مع هذا هذه ذلك التي الذي كيف متي اين كم انا انت انتم نحن هو هي لي لكم لك عندكم
لديكم يمكن يمكنني اريد ان او لو اذا كل اي ثم قد لا نعم شكرا مرحبا لماذا هناك يوجد توجد
"""
_SHARED = """
a as do e el has la no me o on os so te un come son sin once era fue ha num tan tu use nos como
"""
_GERMAN = """
aber alle alles als also auch auf aus bei beim bin bis bist bitte da dann das dass dein deine dem den denn
der des dich die dies diese dieser dieses dir doch du ein eine einem einen einer eines er es etwas euch euer
eure eurem euren fur gerne geben gibt habe haben habt hallo hatte hier ich ihm ihn ihnen ihr ihre ihrem
ihren ihrer im ins irgendwo ist ja jede jeden jeder jemand kann kannst kein keine keinen konnen konnt konnte
machen macht mehr mein meine meinem meinen meiner mich mir mit mochte muss mussen nach nein nicht nichts
noch nun nur ob oder ohne schon sehr sein seid sich sie sind so soll sollte uber um und uns unser unsere
unter vom von vor wann warum was welche welchem welchen welcher welches wenn wer werde werden wie wieviel
wieviele wir wird wo woher wohin wurde zu zum zur zwischen danke viel viele
"""
_FRENCH = """
ai aller au aucun aucune aussi aux avec avez avoir avons bonjour bonsoir ca ce cela celle celui ces cet
cette chez comment dans de des donc du elle elles en encore est et etes etre eu faire fait faites faut il
ils j je la le les leur leurs lui ma mais merci mes mien moi mon ne ni nos notre nous on ont ou par pas peu
peut peuvent peux plait plus pour pourquoi pouvez pouvons puis qu quand que quel quelle quelles quels qui
quoi sa sans se sera ses si son sont sous suis sur ta te tes toi ton tous tout toute toutes tres tu un une
vos votre vous y
"""
_ITALIAN = """
agli ai al alla alle anche avere avete c che chi ci come con cosa cui da dal dalla dei del della delle di
dove e ed essere fare fate gli grazie ha hai hanno ho il in io la le lei lo loro ma mi mia mie miei mio ne
nei nel nella noi non o per perche piu posso possiamo possono potete puo qual quale quali quando quanta
quante quanti quello questa queste questi questo salve se sei si siamo siete sono su sua sue sul sulla suo
tra tu tuo un una uno vi voi vostra vostro vorrei buongiorno ciao
"""
_ALSO_ENGLISH = """
as do has no me on so come once use sure an in is hat man war also bin die den dem am was will her all and at be by for from
his if it made of or per son sons up we an tag art bad gut not pour sale par sans fin ton sue mine come sole chat lit pain
"""
FOREIGN = frozenset((_SPANISH + _PORTUGUESE + _GERMAN + _FRENCH + _ITALIAN).split()) - frozenset(
    (_SHARED + _ALSO_ENGLISH).split()
)
"""Function words that tell that a text is not English."""
_NOT_STOP = {
    "hat",
    "man",
    "war",
    "bin",
    "tag",
    "art",
    "bad",
    "sale",
    "fin",
    "ton",
    "sue",
    "mine",
    "sole",
    "lit",
    "pain",
}
"""Function words elsewhere that say something in English."""
STOP = frozenset((_ENGLISH + _SPANISH + _PORTUGUESE + _ARABIC).split()) | (
    frozenset((_GERMAN + _FRENCH + _ITALIAN).split()) - _NOT_STOP
)

# Each line is one concept, and an indented one goes on; the first word names it. Stems are matched too, so
# plurals need no mention.
_GROUPS = """
price cost costs costing fee tariff pricing precio precios coste costo cuesta cuestan tarifa preco
  precos custa custam mensalidade mensalidades expensive سعر تكلفه اسعار
  preis preise preisliste kostet kosten teuer gebuhr gebuhren prix coute coutent cout prezzo prezzi costa costano
repair fix mend reparar reparacion arreglar arreglo reparo consertar conserto reparais reparan repairing
  fixing تصليح اصلاح reparieren reparatur repariert reparer reparation riparare riparazione
book booking reserve reservation reservar reserva reservas agendar حجز
  reservo reservieren reservierung buchen buchung reserver prenotare prenotazione marcar
appointment cita consulta marcacao موعد termin termine rendezvous appuntamento
cancel cancellation canceled cancelled cancelling cancelar cancelo cancelacion cancelamento anular الغاء
  kundigen kundigung stornieren stornierung annuler annulation resilier cancellare disdire disdetta
refund reimburse reimbursement reembolso reembolsar devolucion devolver devolvemos devolveis devolucoes
  استرداد
deliver delivery ship shipping shipment shipped entrega entregar envio envios enviar توصيل شحن
  lieferung liefern livraison livrer livrez consegna consegnate spedizione
hours hour schedule timetable horario horarios open opens opening opened close closes closing
  closed abrir abre abren abierto abierta abris cierra cierran cerrado cerrados cerrada abrimos abrem
  aberto abertos aberta fechado fechados اوقات ساعات مواعيد مفتوح offnet offnungszeiten geoffnet offen geschlossen ouvert ouverte
  ouvrez ouvre ferme fermez horaires orari orario aperto aperti aprite chiuso apre
phone telephone telefono telefone call llamar ligar هاتف اتصال telefon telefonnummer rufnummer anrufen appeler chiamare
email mail correo mailing ايميل بريد
address located location directions direccion ubicacion endereco ubicados عنوان موقع adresse indirizzo
bike bicycle bici bicicleta cycle دراجه fahrrad fahrrader rad velo
shop store tienda loja متجر محل laden geschaft magasin boutique negozio
parking park aparcamiento aparcar estacionar estacionamento estacionamiento aparcamientos موقف
  parkplatz parkplatze parken stationnement parcheggio parcheggiare
wifi internet wlan
voucher giftcard vale bono
pay payment paying payable pagar pago pagos pagamento pagamentos paid دفع zahlen bezahlen bezahlung payer paiement pagare
instalment installment monthly cuotas parcelas plazos تقسيط
guarantee warranty guaranteed garantia garantias ضمان garantie garanzia
child children kid kids nino ninos ninas crianca criancas اطفال طفل
discount descuento desconto descontos reduction خصم تخفيض rabatt ermassigung ermassigungen remise sconto sconti
rent rental hire alquilar alquiler alquilan alugar aluguel تاجير ايجار
  mieten miete vermieten vermietet louer location noleggio noleggiare affittare
job jobs hiring vacancy vacancies career empleo trabajo emprego وظائف وظيفه stellen stellenangebote emploi lavoro
lift elevator ascensor elevador
holiday vacation vacaciones ferias
tyre tire
colour color
centre center
metre meter
kilometre kilometer km
jewellery jewelry
pet mascota
luggage baggage equipaje gepack bagages bagagli
cheap cheaper cheapest
broken damaged damage defective
begin start empezar empieza empiezan comenzar comienza comecar
enrol enroll inscribirse inscribirte inscribir inscripcion matricula matricular matricularse
teach ensenar ensenamos ensenais ensenan
buy purchase comprar compra شراء kaufen acheter comprare
sell sale vender venta venden vendeis vende venda verkaufen verkauft vendre vendete
size talla tamano tamanho
old age edad idade
bring traer trazer
student alumno alumnos estudiante estudiantes estudante aluno
course curso cursos
online linea
money dinero dinheiro
"""
CONCEPTS: dict[str, str] = {
    word: f"§{line.split()[0]}"
    for line in _GROUPS.strip().replace("\n  ", " ").splitlines()
    for word in line.split()
}

PHRASES: tuple[tuple[str, str, str], ...] = (
    ("card|voucher|certificate", r"\b(gift|present) (card|voucher|certificate)s?\b", " §voucher "),
    ("regalo", r"\btarjetas? regalo\b", " §voucher "),
    ("money back", r"\bmoney back\b", " §refund "),
    ("mail address", r"\be-?mail address\b", " §email "),
    ("phone number", r"\b(tele)?phone number\b", " §phone "),
    ("united kingdom|great britain", r"\bunited kingdom\b|\bgreat britain\b", " uk "),
    ("european union", r"\beuropean union\b", " eu "),
    ("united states", r"\bunited states\b", " usa "),
    (" back", r"\b(send|sent|give|ship) (\w+ )?back\b", " §return "),
    ("return", r"\breturn(s|ed|ing)?\b", " §return "),
    ("wi fi", r"\bwi fi\b", " §wifi "),
    ("pick|collect", r"\bpick(s|ed|ing)?[ -]up\b|\bcollect(s|ed|ion|ing)?\b", " §collect "),
    ("free|charge", r"\bno charge\b|\bfree of charge\b|\bfor free\b", " free "),
    ("times", r"(?<!many )\btimes\b", " §hours "),
    ("advance|beforehand", r"\bin advance\b|\bbeforehand\b", " ahead "),
)
"""Texts of which one must be there (a quick look), a pattern, what replaces it; in passages and questions."""

QUESTION_PHRASES: tuple[tuple[str, str, str], ...] = (
    (
        "how much|how expensive",
        r"\bhow much (?=is|are|does|do|did|for|to|would|will|the|an?\b|it\b|you\b)|\bhow expensive\b",
        " §price ",
    ),
    ("how much", r"^how much\W*$", " §price "),
    ("charge", r"\b(do|would|will|did) you charge\b|\bis the charge\b", " §price "),
    (
        "cuanto|quanto|بكم",
        r"\bcuanto (vale|es|sale|cobran|cobrais)\b|\bquanto (e|fica|sai)\b|\bبكم\b",
        " §price ",
    ),
    ("time|hora", r"\bwhat time\b|\ba que hora\b|\bque horas\b", " §hours "),
    (
        "where|how",
        r"\bwhere are you\b|\bwhere is (the|your) \w+|\bwhere can i find you\b"
        r"|\bhow (do|can) i get (there|to you)\b",
        " §address ",
    ),
    ("donde|onde", r"\bdonde (esta|estan|estais|queda)\b|\bonde (fica|ficam|estao)\b", " §address "),
    ("old|age|edad", r"\bhow old\b|\bminimum age\b|\bdesde que edad\b", " §old "),
)
"""The same, in questions only."""

VALUES: tuple[tuple[str, str], ...] = (
    ("price", r"[€$£¥]\s?\d|\d\s?(?:€|\$|£|eur|usd|gbp|euros?|dollars?|pounds?|reais)\b|\d\s?€|R\$"),
    ("hours", r"\b\d{1,2}(?::\d\d)?\s?(?:a\.m|p\.m|am\b|pm\b)|\b\d{1,2}:\d\d\b|\bnoon\b"),
    (
        "discount",
        r"\d\s?(?:%|percent|per cent)(?: \w+)? (?:off|cheaper|less|discount|de descuento|de desconto)\b",
    ),
    ("phone", r"\+?\d[\d\s().-]{6,}\d"),
    ("email", r"\w@\w"),
    (
        "address",
        r"\b\d+ [A-Z]\w+ (?:Lane|Street|Road|Avenue|Square|St|Rd|Ave)\b|\b(?:[Cc]alle|[Rr]ua|[Aa]venida) \w+",
    ),
)
"""Kinds of value that a passage holds, found in its text as written, ignoring case."""

ASKED_VALUES = ("price", "phone", "email")
"""Kinds of which a question wants the value itself, and not only talk about it."""
