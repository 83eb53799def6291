"""Everything the lead flow says, in the languages it speaks. Button titles are at most 20 characters
(WhatsApp's limit); a test holds that."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from leads.phone import Problem


@dataclass(frozen=True, slots=True)
class Wording:
    """One language. `{…}` are filled in: label, example, phone."""

    unknown: str
    offer: str
    yes: str
    no: str
    consent: str
    ask_name: str
    ask_phone: str
    confirm_phone: str
    use_phone: str
    other_phone: str
    ask_email: str
    ask_extra: str
    skip: str
    form: str
    name: str
    phone: str
    email: str
    submit: str
    cancel: str
    thanks: str
    declined: str
    gave_up: str
    left: str
    noted: str
    have_details: str
    required: str
    too_long: str
    bad_email: str
    problems: Mapping[Problem, str]
    """What is wrong with a phone number and how to put it right; `{example}` is a number as it should be."""


_EN: Final = Wording(
    unknown="I don't know that.",
    offer="May I take your details, so that someone from our team can answer you?",
    yes="Yes, please",
    no="No, thanks",
    consent="By sending your details you agree that we store them and contact you about your question.",
    ask_name="What is your name?",
    ask_phone="Which phone number can we reach you on? With the country code, for example {example}.",
    confirm_phone="Can we reach you on {phone}?",
    use_phone="Use {phone}",
    other_phone="Another number",
    ask_email="What is your email address?",
    ask_extra="And please tell us: {label}",
    skip="Skip",
    form="Please leave your details and we will get back to you.",
    name="Name",
    phone="Phone",
    email="Email (optional)",
    submit="Send",
    cancel="Cancel",
    thanks="Thank you! Our team will get back to you soon. Until then, ask me anything else you like.",
    declined="No problem. Ask me anything else, any time.",
    gave_up="I could not read that number, so let's leave it for now. You can write your phone number here "
    "at any time and we will get back to you.",
    left="Let's leave it for now. Ask me anything else, any time.",
    noted="We have your details: our team will look at this question too.",
    have_details="We have your details, and our team will get back to you.",
    required="Please fill this in.",
    too_long="That is too long. Please shorten it.",
    bad_email="That does not look like an email address. It should look like name@example.com.",
    problems={
        "empty": "Please write your phone number, for example {example}.",
        "not_a_number": "I see no phone number there. Please write it in digits, for example {example}.",
        "too_short": "That number is too short. Please check it and write it whole, for example {example}.",
        "too_long": "That number is too long. Please check it and write it again, for example {example}.",
        "missing_prefix": "Please begin with + and your country code, for example {example}.",
        "bad_prefix": "I don't know that country code. Please check it; it should look like {example}.",
        "invalid": "That number does not exist. Please check the digits and the country code; it should look "
        "like {example}.",
    },
)

_ES: Final = Wording(
    unknown="Eso no lo sé.",
    offer="¿Me dejas tus datos para que alguien de nuestro equipo te responda?",
    yes="Sí, por favor",
    no="No, gracias",
    consent="Al enviar tus datos aceptas que los guardemos y te contactemos sobre tu consulta.",
    ask_name="¿Cómo te llamas?",
    ask_phone="¿En qué teléfono podemos localizarte? Con el prefijo del país, por ejemplo {example}.",
    confirm_phone="¿Podemos localizarte en el {phone}?",
    use_phone="Usar {phone}",
    other_phone="Otro número",
    ask_email="¿Cuál es tu correo electrónico?",
    ask_extra="Y, por favor, dinos: {label}",
    skip="Omitir",
    form="Déjanos tus datos y te responderemos.",
    name="Nombre",
    phone="Teléfono",
    email="Correo (opcional)",
    submit="Enviar",
    cancel="Cancelar",
    thanks="¡Gracias! Nuestro equipo te responderá pronto. Mientras tanto, pregúntame lo que quieras.",
    declined="Sin problema. Pregúntame lo que quieras, cuando quieras.",
    gave_up="No he podido leer ese número, así que lo dejamos por ahora. Puedes escribir aquí tu teléfono "
    "cuando quieras y te responderemos.",
    left="Lo dejamos por ahora. Pregúntame lo que quieras, cuando quieras.",
    noted="Tenemos tus datos: nuestro equipo también mirará esta pregunta.",
    have_details="Tenemos tus datos y nuestro equipo te responderá.",
    required="Rellena este campo, por favor.",
    too_long="Es demasiado largo. Acórtalo, por favor.",
    bad_email="Eso no parece un correo electrónico. Debe ser como nombre@ejemplo.com.",
    problems={
        "empty": "Escribe tu número de teléfono, por ejemplo {example}.",
        "not_a_number": "No veo ningún número de teléfono. Escríbelo con cifras, por ejemplo {example}.",
        "too_short": "Ese número es demasiado corto. Revísalo y escríbelo entero, por ejemplo {example}.",
        "too_long": "Ese número es demasiado largo. Revísalo y escríbelo otra vez, por ejemplo {example}.",
        "missing_prefix": "Empieza por + y el prefijo de tu país, por ejemplo {example}.",
        "bad_prefix": "No conozco ese prefijo de país. Revísalo; debe ser como {example}.",
        "invalid": "Ese número no existe. Revisa las cifras y el prefijo del país; debe ser como {example}.",
    },
)

_PT: Final = Wording(
    unknown="Isso eu não sei.",
    offer="Posso anotar os seus dados para que alguém da nossa equipe responda?",
    yes="Sim, por favor",
    no="Não, obrigado",
    consent="Ao enviar os seus dados, você aceita que os guardemos e falemos com você sobre a sua pergunta.",
    ask_name="Qual é o seu nome?",
    ask_phone="Em que telefone podemos falar com você? Com o código do país, por exemplo {example}.",
    confirm_phone="Podemos falar com você no {phone}?",
    use_phone="Usar {phone}",
    other_phone="Outro número",
    ask_email="Qual é o seu e-mail?",
    ask_extra="E, por favor, diga: {label}",
    skip="Pular",
    form="Deixe os seus dados e entraremos em contato.",
    name="Nome",
    phone="Telefone",
    email="E-mail (opcional)",
    submit="Enviar",
    cancel="Cancelar",
    thanks="Obrigado! A nossa equipe responderá em breve. Enquanto isso, pergunte o que quiser.",
    declined="Sem problema. Pergunte o que quiser, quando quiser.",
    gave_up="Não consegui ler esse número, então vamos deixar por agora. Você pode escrever o seu telefone "
    "aqui a qualquer momento e entraremos em contato.",
    left="Vamos deixar por agora. Pergunte o que quiser, quando quiser.",
    noted="Temos os seus dados: a nossa equipe também verá esta pergunta.",
    have_details="Temos os seus dados e a nossa equipe entrará em contato.",
    required="Preencha este campo, por favor.",
    too_long="É longo demais. Encurte, por favor.",
    bad_email="Isso não parece um e-mail. Deve ser como nome@exemplo.com.",
    problems={
        "empty": "Escreva o seu número de telefone, por exemplo {example}.",
        "not_a_number": "Não vejo nenhum número de telefone. Escreva com algarismos, por exemplo {example}.",
        "too_short": "Esse número é curto demais. Confira e escreva inteiro, por exemplo {example}.",
        "too_long": "Esse número é longo demais. Confira e escreva de novo, por exemplo {example}.",
        "missing_prefix": "Comece com + e o código do seu país, por exemplo {example}.",
        "bad_prefix": "Não conheço esse código de país. Confira; deve ser como {example}.",
        "invalid": "Esse número não existe. Confira os algarismos e o código do país; deve ser como "
        "{example}.",
    },
)

_AR: Final = Wording(
    unknown="لا أعرف ذلك.",
    offer="هل تترك لنا بياناتك ليجيبك أحد أعضاء فريقنا؟",
    yes="نعم، من فضلك",
    no="لا، شكرًا",
    consent="بإرسال بياناتك فإنك توافق على أن نحفظها وأن نتواصل معك بشأن سؤالك.",
    ask_name="ما اسمك؟",
    ask_phone="على أي رقم هاتف يمكننا التواصل معك؟ مع رمز الدولة، مثلًا \u2066{example}\u2069.",
    confirm_phone="هل يمكننا التواصل معك على \u2066{phone}\u2069؟",
    use_phone="{phone}",
    other_phone="رقم آخر",
    ask_email="ما بريدك الإلكتروني؟",
    ask_extra="ومن فضلك أخبرنا: {label}",
    skip="تخطٍّ",
    form="اترك بياناتك وسنتواصل معك.",
    name="الاسم",
    phone="الهاتف",
    email="البريد (اختياري)",
    submit="إرسال",
    cancel="إلغاء",
    thanks="شكرًا لك! سيجيبك فريقنا قريبًا. وإلى ذلك الحين اسألني ما تشاء.",
    declined="لا مشكلة. اسألني ما تشاء في أي وقت.",
    gave_up="لم أتمكن من قراءة هذا الرقم، فلنتركه الآن. يمكنك كتابة رقم هاتفك هنا في أي وقت وسنتواصل معك.",
    left="لنترك ذلك الآن. اسألني ما تشاء في أي وقت.",
    noted="لدينا بياناتك، وسينظر فريقنا في هذا السؤال أيضًا.",
    have_details="لدينا بياناتك، وسيتواصل معك فريقنا.",
    required="يرجى ملء هذا الحقل.",
    too_long="هذا طويل جدًا. يرجى اختصاره.",
    bad_email="لا يبدو هذا بريدًا إلكترونيًا. يجب أن يكون مثل \u2066name@example.com\u2069.",
    problems={
        "empty": "اكتب رقم هاتفك، مثلًا \u2066{example}\u2069.",
        "not_a_number": "لا أرى رقم هاتف هنا. اكتبه بالأرقام، مثلًا \u2066{example}\u2069.",
        "too_short": "هذا الرقم قصير جدًا. تحقق منه واكتبه كاملًا، مثلًا \u2066{example}\u2069.",
        "too_long": "هذا الرقم طويل جدًا. تحقق منه واكتبه مجددًا، مثلًا \u2066{example}\u2069.",
        "missing_prefix": "ابدأ بعلامة + ورمز بلدك، مثلًا \u2066{example}\u2069.",
        "bad_prefix": "لا أعرف رمز الدولة هذا. تحقق منه؛ يجب أن يكون مثل \u2066{example}\u2069.",
        "invalid": "هذا الرقم غير موجود. تحقق من الأرقام ورمز الدولة؛ يجب أن يكون مثل \u2066{example}\u2069.",
    },
)

LANGUAGES: Final[Mapping[str, Wording]] = {"en": _EN, "es": _ES, "pt": _PT, "ar": _AR}


def wording(language: str | None) -> Wording:
    """The wording that fits a BCP 47 tag best; English for a language that is not spoken here."""
    return LANGUAGES.get((language or "en").replace("_", "-").split("-")[0].lower(), _EN)
