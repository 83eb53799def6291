"""Logs: one line an event, as text or JSON, with the ids of request, tenant and conversation.

Never a body, a token, a phone or an e-mail address in clear: what looks like one is masked on the way out, after
everything else, so that a slip elsewhere does no harm.
"""

import inspect
import json
import logging
import re
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from loguru import logger

if TYPE_CHECKING:
    from loguru import Message as LogMessage

_MASKS = (
    (re.compile(r"\b(?:EAA[A-Za-z0-9]{16,}|xox[a-z]-[\w-]{8,}|pk_[\w-]{16,}|\d{6,}:[\w-]{30,})"), "[token]"),
    (re.compile(r"(?i)\b(bearer|access_token[=:]|sha256=)\s*[\w.~+/-]{8,}=*"), r"\1[secret]"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}"), "[token]"),
    (re.compile(r"(mongodb(?:\+srv)?|rediss?)://[^/\s@]+@"), r"\1://[secret]@"),
    (re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]{2,}"), "[email]"),
    (re.compile(r"(?<![\w.:-])\+?\d{9,15}(?![\w:-])"), "[number]"),
)


def stack(error: BaseException) -> str:
    """An error for the log: its kind and where it came from, never its text, which may hold what a customer wrote."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    places = " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in reversed(frames))
    return f"{type(error).__name__} at {places}"


def masked(text: str) -> str:
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    return text


class _Intercept(logging.Handler):
    """The standard library's log records, into ours."""

    def emit(self, record: logging.LogRecord) -> None:
        level: str | int = record.levelno
        if record.levelname in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
            level = record.levelname
        frame, depth = inspect.currentframe(), 0
        while frame and (depth == 0 or frame.f_code.co_filename == logging.__file__):
            frame, depth = frame.f_back, depth + 1
        logger.opt(depth=depth, exception=record.exc_info).log(level, "{}", record.getMessage())


def configure(level: str, form: str, stream: TextIO = sys.stderr) -> None:
    """Send all logs, the standard library's too, to one stream."""
    logger.remove()

    def sink(message: "LogMessage") -> None:
        record = message.record
        error = record["exception"]
        trace = ""
        if error is not None and error.type is not None:
            trace = "".join(traceback.format_exception(error.type, error.value, error.traceback))
        line = _json(record, trace) if form == "json" else _text(record, trace)
        stream.write(line + "\n")
        stream.flush()

    logger.add(sink, level=level, format="{message}", backtrace=False, diagnose=False, catch=True)
    logging.basicConfig(handlers=[_Intercept()], level=level, force=True)
    for noisy in ("httpx", "httpcore", "aiohttp.access", "pymongo", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _json(record: Any, trace: str) -> str:
    line = {
        "time": record["time"].isoformat(timespec="milliseconds"),
        "level": record["level"].name.lower(),
        "message": masked(record["message"]),
        "where": f"{record['name']}:{record['line']}",
        **{k: masked(str(v)) for k, v in record["extra"].items()},
    }
    if trace:
        line["trace"] = masked(trace)
    return json.dumps(line, ensure_ascii=False)


def _text(record: Any, trace: str) -> str:
    extra = " ".join(f"{k}={v}" for k, v in record["extra"].items())
    line = f"{record['time']:HH:mm:ss.SSS} {record['level'].name:<7} {record['message']}"
    return masked(line + (f"  [{extra}]" if extra else "") + (f"\n{trace}" if trace else ""))
