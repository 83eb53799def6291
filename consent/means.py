"""Any reasonable means: what looks like an opt-out and is no keyword, so that the customer is asked and a button decides. Pure.

A revocation may be made "by any reasonable means" (47 CFR 64.1200(a)(10)); a machine that guesses wrong would silence
somebody who only wanted their sofa to be taken off the list. So it proposes, and never withdraws.
"""

from functools import cache
from typing import Final

from consent.folding import fold

LONGEST: Final = 300
"""Characters: whoever writes more than that has something else to say."""

_PHRASES: Final = (
    # English
    "stop texting|stop messaging|stop writing to me|stop writing me|stop contacting|stop bothering|stop spamming|stop sending me"
    "|stop sending these|stop these messages|stop the messages|stop your messages|stop all messages|stop this spam"
    "|dont text me|do not text me|dont message me|do not message me|dont contact me|do not contact me|dont write to me"
    "|do not write to me|dont write me|dont send me any more|dont send me anymore|do not send me any more|no more messages"
    "|no more texts|no more ads|no more marketing|leave me alone|take me off your|take me off this|take me off the list"
    "|take my number off|remove me from|remove my number|delete my number|lose my number|unsubscribe me|want to unsubscribe"
    "|like to unsubscribe|how do i unsubscribe|how to unsubscribe|want to opt out|like to opt out|opt me out|stop spam"
    "|stop promotions|stop promotion|stop marketing|stop advertising|stop offers|stop ads"
    "|withdraw my consent|revoke my consent|i am not interested in your messages|dont want your messages"
    "|dont want these messages|dont want any more messages|do not want any more messages"
    "|dont want to receive|do not want to receive"
    # Spanish
    "|dejen de escribirme|deje de escribirme|deja de escribirme|dejen de enviarme|deje de enviarme|deja de enviarme"
    "|dejen de mandarme|deja de mandarme|deje de mandarme|dejen de molestar|deja de molestar|no me escriban|no me escribas"
    "|no me escriba mas|no me manden|no me mandes|no me envien|no me envies|no me envie mas|no me contacten|no me contacte"
    "|no quiero recibir|no deseo recibir|no quiero mas mensajes|no mas mensajes|dejenme en paz|dejame en paz|dejeme en paz"
    "|borren mi numero|borre mi numero|eliminen mi numero|quiten mi numero|saquenme de|sacame de la lista|quitenme de"
    "|quiero darme de baja|denme de baja|deme de baja|dame de baja|retiro mi consentimiento|revoco mi consentimiento"
    # Portuguese
    "|pare de me mandar|parem de me mandar|pare de me enviar|parem de me enviar|pare de mandar mensagem|parem de mandar mensagem"
    "|pare de enviar mensagem|parem de enviar|pare de me escrever|parem de escrever|para de me mandar|para de mandar mensagem"
    "|nao me mande mais|nao me mandem mais|nao me mandem mensagens|nao me envie mais|nao me enviem mais|nao me enviem mensagens"
    "|nao me escreva|nao me escrevam|nao me contacte|nao me contate|nao quero receber|nao desejo receber|nao quero mais receber"
    "|nao quero mais mensagens|me deixe em paz|me deixa em paz|me deixem em paz|deixem me em paz|deixe me em paz"
    "|me tire da lista|me tira da lista|me tirem da lista|tirem me da lista|me remova da lista|me remove da lista"
    "|apague meu numero|apaguem o meu numero|remova meu numero|quero me descadastrar|quero cancelar a inscricao"
    "|retiro o meu consentimento|revogo meu consentimento"
    # French
    "|arretez de mecrire|arrete de mecrire|arretez de menvoyer|arrete de menvoyer|arretez de me contacter|arretez vos messages"
    "|arretez les messages|arretez de me harceler|ne mecrivez plus|ne mecris plus|ne menvoyez plus|ne menvoie plus"
    "|ne me contactez plus|ne me contacte plus|je ne veux plus recevoir|je veux plus recevoir|je ne souhaite plus recevoir"
    "|ne plus recevoir|plus de messages svp|laissez moi tranquille|laisse moi tranquille|retirez moi de|enlevez moi de"
    "|supprimez mon numero|effacez mon numero|retirez mon numero|je veux me desabonner|je souhaite me desabonner"
    "|comment me desabonner|je retire mon consentement"
    # German
    "|schreibt mir nicht mehr|schreiben sie mir nicht mehr|schreib mir nicht mehr|schickt mir keine|schicken sie mir keine"
    "|schick mir keine|senden sie mir keine|sendet mir keine|keine nachrichten mehr|keine weiteren nachrichten|keine werbung mehr"
    "|nicht mehr kontaktieren|kontaktieren sie mich nicht|kontaktiert mich nicht|lasst mich in ruhe|lassen sie mich in ruhe"
    "|lass mich in ruhe|ich will keine nachrichten|ich mochte keine nachrichten|ich moechte keine nachrichten"
    "|will nichts mehr bekommen|loscht meine nummer|loschen sie meine nummer|loeschen sie meine nummer"
    "|nehmen sie mich von der liste|nehmt mich von der liste|von der liste streichen|aus dem verteiler|mochte mich abmelden"
    "|moechte mich abmelden|will mich abmelden|wie melde ich mich ab|widerrufe meine einwilligung|einwilligung widerrufen"
    # Italian
    "|smettetela di scrivermi|smettila di scrivermi|smetti di scrivermi|smettete di scrivermi|smettete di mandarmi"
    "|smetti di mandarmi|smettete di inviarmi|non scrivetemi|non scrivermi|non mandatemi|non mandarmi|non inviatemi|non inviarmi"
    "|non contattatemi|non contattarmi|non mi contattate|non voglio ricevere|non voglio piu ricevere|non desidero ricevere"
    "|non voglio piu messaggi|basta messaggi|lasciatemi in pace|lasciami in pace|toglietemi dalla|toglimi dalla lista"
    "|rimuovetemi dalla|rimuovimi dalla|cancellate il mio numero|cancella il mio numero|voglio disiscrivermi|voglio cancellarmi"
    "|come mi disiscrivo|revoco il mio consenso|revoco il consenso"
    # Hindi
    "|मैसेज मत भेजो|मैसेज मत भेजिए|मैसेज भेजना बंद|संदेश मत भेजो|संदेश मत भेजिए|संदेश न भेजें|संदेश भेजना बंद|मुझे मैसेज मत|मुझे संदेश मत"
    "|मुझे परेशान मत|मुझे परेशान न|मुझे अकेला छोड़|मेरा नंबर हटा|मेरा नंबर डिलीट|लिस्ट से हटा|सूची से हटा|मैसेज नहीं चाहिए|संदेश नहीं चाहिए"
    "|message mat bhejo|msg mat bhejo|mujhe message mat|mera number hata|message nahi chahiye"
    # Arabic
    "|لا تراسلني|لا تراسلوني|لا ترسل لي|لا ترسلوا لي|لا ترسل الي|لا ترسلوا الي|توقف عن ارسال|توقفوا عن ارسال|توقف عن مراسلتي"
    "|توقفوا عن مراسلتي|لا اريد رسائل|لا اريد استقبال|لا اريد ان استقبل|لا ارغب في استلام|لا ارغب في تلقي|لا اريد تلقي"
    "|لا اريد المزيد من الرسائل|اتركني وشاني|اتركوني وشاني|دعني وشاني|دعوني وشاني|احذف رقمي|احذفوا رقمي|ازل رقمي|ازيلوا رقمي"
    "|ازلني من القائمه|احذفني من القائمه|اريد الغاء الاشتراك|كيف الغي الاشتراك|اسحب موافقتي"
)

_NOT: Final = (
    "wont stop|didnt stop|did not stop|doesnt stop|why did you stop|no more messages left|how many|dont want to receive it"
    "|do not want to receive it|dont want to receive the|dont leave me alone|do not leave me alone|remove me from the waiting"
    "|dont want to receive my|no quiero recibir el|no quiero recibir la|no quiero recibir mi|nao quero receber o"
    "|nao quero receber a|nao quero receber meu|non voglio ricevere il|non voglio ricevere la"
    "|je ne veux plus recevoir le|je ne veux plus recevoir la"
)
"""What holds one of the phrases and means something else: a parcel that is not to be received."""


def proposes(text: str) -> bool:
    """Whether a text seems to say that its author wants no more messages."""
    if len(text) > LONGEST:
        return False
    said = f" {fold(text)} "
    return any(p in said for p in _phrases()) and not any(p in said for p in _others())


@cache
def _phrases() -> tuple[str, ...]:
    return tuple(f" {fold(p)}" for p in _PHRASES.split("|"))


@cache
def _others() -> tuple[str, ...]:
    return tuple(f" {fold(p)} " for p in _NOT.split("|"))
