// The widget's own words. Sentences that count avoid plurals, so no plural rules are needed.
const WORDS = {
  en: {
    chat: "Chat",
    open: "Open chat",
    close: "Close chat",
    unread: "{n} unread",
    subtitle: "Ask us anything",
    log: "Messages",
    write: "Write a message…",
    label: "Your message",
    send: "Send",
    attach: "Send a file",
    drop: "Drop the file here",
    large: "This file is too large. At most {n} MB.",
    unsent: "The file could not be sent.",
    sending: "Sending {n} %",
    sound: "Sound for new messages",
    typing: "Typing…",
    sources: "Sources",
    up: "Good answer",
    down: "Bad answer",
    page: "p. {n}",
    earlier: "Show earlier messages",
    newer: "New messages",
    news: "New message",
    you: "You",
    bot: "Assistant",
    agent: "Our team",
    choices: "Suggested answers",
    waiting: "Waiting to be sent",
    sent: "Sent",
    failed: "Not sent.",
    retry: "Try again",
    remove: "Remove",
    left: "{n} characters left",
    over: "Too long by {n} characters. Please shorten it.",
    full: "Too many messages are waiting. They go out as soon as you are back online.",
    slow: "That was quick. Your messages are sent in a moment.",
    required: "Please fill this in.",
    email: "Please enter an e-mail address such as name@example.com.",
    answered: "Form sent",
    cancelled: "Form cancelled",
    other: "This message cannot be shown here.",
    reconnecting: "Reconnecting… What you write is kept and sent later.",
    unavailable: "Chat is not available on this page. Please contact us another way.",
    busy: "Many people are writing at the moment. We connect you shortly; you need not do anything.",
    closed: "This chat is closed. Please contact us another way.",
  },
  es: {
    chat: "Chat",
    open: "Abrir el chat",
    close: "Cerrar el chat",
    unread: "{n} sin leer",
    subtitle: "Pregúntenos lo que quiera",
    log: "Mensajes",
    write: "Escriba un mensaje…",
    label: "Su mensaje",
    send: "Enviar",
    attach: "Enviar un archivo",
    drop: "Suelte el archivo aquí",
    large: "El archivo es demasiado grande. Máximo {n} MB.",
    unsent: "No se pudo enviar el archivo.",
    sending: "Enviando {n} %",
    sound: "Sonido al recibir mensajes",
    typing: "Escribiendo…",
    sources: "Fuentes",
    up: "Buena respuesta",
    down: "Mala respuesta",
    page: "pág. {n}",
    earlier: "Ver mensajes anteriores",
    newer: "Mensajes nuevos",
    news: "Mensaje nuevo",
    you: "Usted",
    bot: "Asistente",
    agent: "Nuestro equipo",
    choices: "Respuestas sugeridas",
    waiting: "Pendiente de envío",
    sent: "Enviado",
    failed: "No enviado.",
    retry: "Reintentar",
    remove: "Eliminar",
    left: "Quedan {n} caracteres",
    over: "Sobran {n} caracteres. Acorte el mensaje.",
    full: "Hay demasiados mensajes en espera. Saldrán cuando vuelva la conexión.",
    slow: "Va muy rápido. Sus mensajes se envían en un momento.",
    required: "Complete este campo.",
    email: "Escriba un correo como nombre@ejemplo.com.",
    answered: "Formulario enviado",
    cancelled: "Formulario cancelado",
    other: "Este mensaje no se puede mostrar aquí.",
    reconnecting: "Reconectando… Lo que escriba se guarda y se envía después.",
    unavailable: "El chat no está disponible en esta página. Contáctenos por otro medio.",
    busy: "Hay muchas personas escribiendo. Le conectamos enseguida; no tiene que hacer nada.",
    closed: "Este chat está cerrado. Contáctenos por otro medio.",
  },
  pt: {
    chat: "Chat",
    open: "Abrir o chat",
    close: "Fechar o chat",
    unread: "{n} não lidas",
    subtitle: "Pergunte o que quiser",
    log: "Mensagens",
    write: "Escreva uma mensagem…",
    label: "Sua mensagem",
    send: "Enviar",
    attach: "Enviar um arquivo",
    drop: "Solte o arquivo aqui",
    large: "O arquivo é grande demais. No máximo {n} MB.",
    unsent: "Não foi possível enviar o arquivo.",
    sending: "Enviando {n} %",
    sound: "Som para novas mensagens",
    typing: "Digitando…",
    sources: "Fontes",
    up: "Boa resposta",
    down: "Má resposta",
    page: "p. {n}",
    earlier: "Ver mensagens anteriores",
    newer: "Novas mensagens",
    news: "Nova mensagem",
    you: "Você",
    bot: "Assistente",
    agent: "Nossa equipe",
    choices: "Respostas sugeridas",
    waiting: "Aguardando envio",
    sent: "Enviada",
    failed: "Não enviada.",
    retry: "Tentar de novo",
    remove: "Remover",
    left: "Restam {n} caracteres",
    over: "{n} caracteres a mais. Encurte a mensagem.",
    full: "Há mensagens demais em espera. Elas saem quando a conexão voltar.",
    slow: "Foi rápido. Suas mensagens são enviadas em instantes.",
    required: "Preencha este campo.",
    email: "Digite um e-mail como nome@exemplo.com.",
    answered: "Formulário enviado",
    cancelled: "Formulário cancelado",
    other: "Esta mensagem não pode ser exibida aqui.",
    reconnecting: "Reconectando… O que você escrever fica guardado e é enviado depois.",
    unavailable: "O chat não está disponível nesta página. Fale conosco por outro meio.",
    busy: "Muitas pessoas estão escrevendo agora. Já conectamos você; não é preciso fazer nada.",
    closed: "Este chat está encerrado. Fale conosco por outro meio.",
  },
  ar: {
    chat: "المحادثة",
    open: "فتح المحادثة",
    close: "إغلاق المحادثة",
    unread: "غير مقروءة: {n}",
    subtitle: "اسألنا ما تشاء",
    log: "الرسائل",
    write: "اكتب رسالة…",
    label: "رسالتك",
    send: "إرسال",
    attach: "إرسال ملف",
    drop: "أفلت الملف هنا",
    large: "الملف كبير جدًا. الحد الأقصى {n} ميغابايت.",
    unsent: "تعذّر إرسال الملف.",
    sending: "جارٍ الإرسال {n}٪",
    sound: "صوت عند وصول رسالة",
    typing: "يكتب الآن…",
    sources: "المصادر",
    up: "إجابة جيدة",
    down: "إجابة سيئة",
    page: "ص {n}",
    earlier: "عرض رسائل أقدم",
    newer: "رسائل جديدة",
    news: "رسالة جديدة",
    you: "أنت",
    bot: "المساعد",
    agent: "فريقنا",
    choices: "إجابات مقترحة",
    waiting: "في انتظار الإرسال",
    sent: "أُرسلت",
    failed: "لم تُرسل.",
    retry: "أعد المحاولة",
    remove: "إزالة",
    left: "الأحرف المتبقية: {n}",
    over: "الرسالة طويلة، الأحرف الزائدة: {n}. يرجى اختصارها.",
    full: "رسائل كثيرة في الانتظار. ستُرسل عند عودة الاتصال.",
    slow: "رسائل سريعة متتالية. ستُرسل بعد لحظات.",
    required: "يرجى ملء هذا الحقل.",
    email: "أدخل بريدًا مثل name@example.com.",
    answered: "أُرسل النموذج",
    cancelled: "أُلغي النموذج",
    other: "لا يمكن عرض هذه الرسالة هنا.",
    reconnecting: "جارٍ إعادة الاتصال… ما تكتبه محفوظ وسيُرسل لاحقًا.",
    unavailable: "المحادثة غير متاحة في هذه الصفحة. يرجى التواصل معنا بطريقة أخرى.",
    busy: "يكتب إلينا كثيرون الآن. سنصلك بعد قليل دون أن تفعل شيئًا.",
    closed: "هذه المحادثة مغلقة. يرجى التواصل معنا بطريقة أخرى.",
  },
};

const DAY = 86400000;

export const fit = (tag) => {
  const language = String(tag || "").toLowerCase().split("-")[0];
  return Object.hasOwn(WORDS, language) ? language : "en";
};

export class Words {
  constructor(language) {
    this.language = fit(language);
    this.dir = this.language === "ar" ? "rtl" : "ltr";
    // The visitor's own region decides between 14:30 and 2:30 PM.
    const region = (navigator.languages || []).find((tag) => fit(tag) === this.language) || this.language;
    this.#time = new Intl.DateTimeFormat(region, { timeStyle: "short" });
    this.#full = new Intl.DateTimeFormat(region, { dateStyle: "full", timeStyle: "short" });
    this.#date = new Intl.DateTimeFormat(region, { weekday: "long", day: "numeric", month: "long" });
    this.#near = new Intl.RelativeTimeFormat(this.language, { numeric: "auto" });
  }

  #time;
  #full;
  #date;
  #near;

  say(key, n = "") {
    return WORDS[this.language][key].replace("{n}", n);
  }

  time(date) {
    return this.#time.format(date);
  }

  full(date) {
    return this.#full.format(date);
  }

  // "today" and "yesterday" in the language's own words, then the date.
  day(date) {
    const start = (moment) => new Date(moment.getFullYear(), moment.getMonth(), moment.getDate());
    const ago = Math.round((start(new Date()) - start(date)) / DAY);
    return ago === 0 || ago === 1 ? this.#near.format(-ago, "day") : this.#date.format(date);
  }
}
