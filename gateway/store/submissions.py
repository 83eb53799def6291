"""What customers filled in: a tenant's small forms."""

from typing import Final

from pydantic import TypeAdapter

from gateway.model.answers import Submission
from gateway.store.database import Database, guarded
from gateway.store.docs import Doc, aware
from gateway.store.group import insert_new

# Once: making one takes milliseconds, and a store is made for every message.
_SUBMISSION: Final = TypeAdapter(Submission)


class Submissions:
    """One tenant's."""

    def __init__(self, db: Database, tenant: str) -> None:
        self._submissions = db["submissions"]
        self._tenant = tenant

    async def put(self, submission: Submission) -> None:
        """Keep it; again it changes nothing. Raises Unavailable."""
        if submission.tenant != self._tenant:
            raise ValueError("a submission of another tenant")
        doc: Doc = _SUBMISSION.dump_python(submission)
        async with guarded():
            await insert_new(self._submissions, [{"_id": doc.pop("id"), "v": 1, **doc}])

    async def of_form(self, form: str, limit: int) -> list[Submission]:
        """The latest first."""
        which = {"tenant": self._tenant, "form": form}
        async with guarded():
            docs = await self._submissions.find(which).sort("at", -1).limit(limit).to_list()
        return [self._read(d) for d in docs]

    def _read(self, doc: Doc) -> Submission:
        return _SUBMISSION.validate_python({**doc, "id": doc["_id"], "at": aware(doc["at"])})
