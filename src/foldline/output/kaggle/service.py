"""Kaggle's service through its own package (the optional extra `kaggle`); its errors become sentences.

The package logs in while it is imported, prints, and ends the process where it can't. This file contains all of that.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from foldline.core.errors import UserError
from foldline.output.kaggle import credentials

PAGE = 100  # entries of a list that one request returns


@dataclass(frozen=True)
class ListedFile:
    """A competition's file as Kaggle lists it."""

    size: int  # bytes, unpacked
    made: str  # when it was put there: another one for a file that was replaced


@dataclass(frozen=True)
class Limits:
    """How many submissions Kaggle allows."""

    today: int  # submissions since midnight UTC
    left: int  # that are still allowed now
    by_total: bool  # the limit is a total for the whole competition


@dataclass(frozen=True)
class Submission:
    """A submission as Kaggle lists it."""

    description: str
    status: str  # PENDING, COMPLETE or ERROR
    public: str  # score; empty where there is none (yet)
    private: str  # score; empty while the competition runs
    error: str  # what was wrong with the file


class Service:
    """A competition at Kaggle.

    Every method raises UserError where Kaggle refuses or can't be reached.
    """

    def __init__(self, competition: str) -> None:
        self.competition = competition
        self.source = credentials.require()
        if importlib.util.find_spec("kaggle") is None:
            raise UserError(
                "Kaggle's package is needed, and is not installed. In this checkout's own environment: "
                "`FOLDLINE_EXTRAS=kaggle ./run.sh doctor` installs it; elsewhere: `pip install kaggle`."
            )
        with self._errors_as_sentences():
            self._api = importlib.import_module("kaggle.api.kaggle_api_extended").KaggleApi()
            self._api.authenticate()

    def files(self) -> dict[str, ListedFile]:
        """List the competition's files, by name."""
        found: dict[str, ListedFile] = {}
        token = None
        while True:
            with self._errors_as_sentences():
                answer = self._api.competition_list_files(self.competition, page_token=token, page_size=PAGE)
            for file in answer.files or []:
                found[file.name] = ListedFile(file.total_bytes, str(file.creation_date or ""))
            token = answer.next_page_token
            if not token:
                return found

    def download(self, folder: Path, quiet: bool) -> Path:
        """Download the archive of all files into `folder`; an interrupted download is continued."""
        with self._errors_as_sentences():
            self._api.competition_download_files(self.competition, path=str(folder), quiet=quiet)
        return folder / f"{self.competition}.zip"

    def limits(self) -> Limits:
        """Fetch how many submissions are left today."""
        with self._errors_as_sentences():
            answer = self._api.competition_get_submission_limits(self.competition)
        return Limits(answer.num_today, answer.num_allowed_now, bool(answer.limited_by_total))

    def submit(self, path: Path, message: str) -> None:
        """Upload a file as a submission. message: what Kaggle shows beside it."""
        with self._errors_as_sentences():
            answer = self._api.competition_submit(str(path), message, self.competition, quiet=True)
        if answer.message == self._api.COMPETITION_SUBMIT_UPLOAD_FAILED_MESSAGE:
            raise UserError(f"The upload of {path} broke off. Nothing was submitted: run the same command again.")

    def submissions(self) -> Iterator[Submission]:
        """List all submissions, newest first; a page is asked for when those before it have been looked at."""
        before: list[Any] = []
        for number in count(1):
            with self._errors_as_sentences():
                found = self._api.competition_submissions(self.competition, page_number=number, page_size=PAGE) or []
            refs = [entry.ref for entry in found]
            if refs == before:  # the same page again, as of a service that knows no page numbers: it would never end
                return
            yield from map(_plain, found)
            if len(found) < PAGE:
                return
            before = refs

    @contextlib.contextmanager
    def _errors_as_sentences(self) -> Iterator[None]:
        """Turn the package's errors into UserErrors, and send what it prints to standard error."""
        try:
            with contextlib.redirect_stdout(sys.stderr):
                yield
        except SystemExit:
            raise UserError(self._explanation(401, "")) from None
        except ImportError as error:  # version 2.2.4 imports six, which it does not require
            raise UserError(f"Kaggle's package can't be imported ({error}). Install what it lacks with pip.") from error
        except ValueError as error:
            raise UserError(f"Kaggle's package failed: {_reason(error)}. Run the same command again.") from error
        except OSError as error:  # also what `requests` raises
            response = getattr(error, "response", None)
            if response is None:
                raise _unreachable(error) from error
            raise UserError(self._explanation(response.status_code, _reason(error))) from error

    def _explanation(self, status: int, reason: str) -> str:
        """Explain an HTTP status of Kaggle's, and what to do."""
        rules = f"https://www.kaggle.com/competitions/{self.competition}/rules"
        kaggles = f" Kaggle says: {reason}" if reason else ""
        known = {
            400: f"Kaggle refuses the request (400).{kaggles} If the competition takes notebooks only: "
            "`./run.sh bundle --help`",
            401: f"Kaggle does not accept the credentials in {self.source} (401). Make new: {credentials.TOKENS}",
            403: f"Kaggle does not let this account do that (403).{kaggles} Accept the rules first: {rules}",
            404: f"Kaggle knows no competition {self.competition!r} (404). The name is the end of its page's address.",
            429: "Kaggle asks to slow down (429). Wait a few minutes and run the same command again.",
        }
        if status in known:
            return known[status]
        return f"Kaggle answered with an error ({status}).{kaggles} Try again later."


def _plain(entry: Any) -> Submission:
    return Submission(
        description=entry.description or "",
        status=entry.status.name,
        public=entry.public_score or "",
        private=entry.private_score or "",
        error=entry.error_description or "",
    )


def _reason(error: Exception) -> str:
    """Return Kaggle's own explanation; empty where the error holds only the status line that `requests` writes."""
    text = (str(error).strip().splitlines() or [""])[0][:300]
    return "" if " for url: " in text else text


def _unreachable(error: OSError) -> Exception:
    """Make the error for a failed network; any other OSError, such as a full disk, is returned as it is."""
    if not type(error).__module__.startswith(("requests", "urllib3")):
        return error
    return UserError(
        f"Kaggle can't be reached ({type(error).__name__}). Check the network; what was downloaded so far is kept."
    )
