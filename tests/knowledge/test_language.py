"""The language of a passage."""

import pytest

from brain.language import guess


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "We are open every day from nine to five, and you can call us."),
        ("es", "Abrimos todos los días y puede llamar a la tienda cuando quiera."),
        ("pt", "Estamos abertos todos os dias e você pode ligar para a loja."),
        ("fr", "Nous sommes ouverts tous les jours et vous pouvez nous appeler."),
        ("de", "Wir haben jeden Tag geöffnet und sind für Sie da."),
        ("it", "Siamo aperti tutti i giorni e potete chiamare il negozio della città."),
        ("nl", "Wij zijn elke dag open en u kunt ons bellen voor een afspraak."),
        ("pl", "Jesteśmy otwarci codziennie i można do nas zadzwonić w każdej chwili, ale nie w nocy."),
        ("tr", "Her gün açığız ve bizi bir randevu için arayabilirsiniz."),
        ("ru", "Мы работаем каждый день, и вы можете нам позвонить."),
        ("uk", "Ми працюємо щодня, і ви можете нам зателефонувати."),
        ("ar", "نحن نفتح كل يوم من الساعة التاسعة إلى الخامسة في المدينة"),
        ("fa", "ما هر روز باز هستیم و شما می‌توانید با ما تماس بگیرید"),
        ("ur", "ہم ہر روز کھلے ہیں اور آپ ہمیں فون کر سکتے ہیں"),
        ("hi", "हम हर दिन खुले हैं और आप हमें फ़ोन कर सकते हैं।"),
        ("he", "אנחנו פתוחים כל יום"),
        ("zh", "我们每天都开门，欢迎来电。"),
        ("ja", "毎日営業しています。お電話ください。"),
        ("ko", "매일 영업합니다."),
        ("el", "Είμαστε ανοιχτά κάθε μέρα."),
        ("th", "เราเปิดทุกวัน"),
        (None, ""),
        (None, "€12 – 9:00–17:00"),
        (None, "Maria Müller"),
        (None, "\ud800"),
    ],
)
def test_what_it_is_told_by(language: str | None, text: str) -> None:
    assert guess(text) == language


def test_a_foreign_name_changes_nothing() -> None:
    assert guess("The café “Zum Löwen” is open for you and your guests at 東京.") == "en"
