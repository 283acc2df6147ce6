"""Everything that can be out of order in the catalogue, each with a switch."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How often each oddity occurs; by default none of them does.

    Numbers are shares from 0 (never) to 1 (always) where nothing else is said.

    Attributes:
        mature_only: Models that the ordinary pass hides.
        minor: Models that only the ordinary pass shows.
        real_person: Models that no list shows and whose files are not found.
        unlisted: Models left without a version after the page was cut: short pages.
        unlisted_run: So many models in a row, from the 2nd on, are unlisted: empty pages.
        archived: Models in mode `Archived`, hidden unless asked for.
        taken_down: Models in mode `TakenDown`, without images.
        tied_run: So many models, from the first on, share one `lastVersionAt`. More than a page
            holds and the walk `Oldest` never gets past them.
        ties: Models whose `lastVersionAt` is that of the model before.
        hidden_stats: Statistics that are null.
        no_creator: Models without `creator`.
        odd_licence: `allowCommercialUse` in one of its older spellings.
        no_hashes: Files with empty `hashes`.
        no_files: Versions with empty `files`.
        naive_time: `scannedAt` without a zone.
        twin_links: Versions with two files that share one `downloadUrl`.
        wrong_link: Versions whose `downloadUrl` is not found although `?fileId=` is.
        wrong_size: Files whose `sizeKB` is a tenth too large.
        training_data: Versions with an archive of training data beside the weights.
        pickle: Versions with a `.pt` or `.ckpt` instead of a `.safetensors`.
        login_required: Versions that need a key.
        early_access: Versions that must be bought until a date.
        downloads_disabled: Versions that may only be used on the site.
        forbidden: Versions that refuse even with a key (without one they ask for it).
        gone: Files not found although they are listed.
        archived_late: Versions that turn out archived although they are listed.
        no_metadata: Files whose header says nothing of the training.
        html_body: Files named `.safetensors` that hold a web page.
        zip_body: The same with a zip archive.
        lfs_body: The same with a Git LFS pointer.
        bad_header: Files whose header the safetensors library refuses.
        huge_header: Files with a sound header of 40 MiB.
        busy: API requests that answer 503 with `Retry-After`.
        retry_after: What `Retry-After` says, in seconds.
        server_error: API requests that answer 500 in JSON.
        bad_gateway: API requests that answer 502 in HTML.
        html_reply: API requests that answer 200 in HTML where JSON was due.
        lost_file: Download requests that answer 404 only for the moment.
        whole_file: Storage requests with a Range that get 200 and the whole file.
        cut_body: Storage replies that end in the middle.
        stall: Storage replies that stop sending in the middle for `stall_seconds`.
        stall_seconds: How long, in seconds.
        url_lifetime: Seconds a signed URL holds; None for what the real storages grant.
        quota: Counted downloads after which every further one answers 429; None for no end.
        agent_rules: Whether the edges refuse bare clients by their User-Agent.
        region_blocked: Whether every API request answers 451.
    """

    mature_only: float = 0.0
    minor: float = 0.0
    real_person: float = 0.0
    unlisted: float = 0.0
    unlisted_run: int = 0
    archived: float = 0.0
    taken_down: float = 0.0
    tied_run: int = 1
    ties: float = 0.0
    hidden_stats: float = 0.0
    no_creator: float = 0.0
    odd_licence: float = 0.0
    no_hashes: float = 0.0
    no_files: float = 0.0
    naive_time: float = 0.0
    twin_links: float = 0.0
    wrong_link: float = 0.0
    wrong_size: float = 0.0
    training_data: float = 0.0
    pickle: float = 0.0
    login_required: float = 0.0
    early_access: float = 0.0
    downloads_disabled: float = 0.0
    forbidden: float = 0.0
    gone: float = 0.0
    archived_late: float = 0.0
    no_metadata: float = 0.0
    html_body: float = 0.0
    zip_body: float = 0.0
    lfs_body: float = 0.0
    bad_header: float = 0.0
    huge_header: float = 0.0
    busy: float = 0.0
    retry_after: int = 2
    server_error: float = 0.0
    bad_gateway: float = 0.0
    html_reply: float = 0.0
    lost_file: float = 0.0
    whole_file: float = 0.0
    cut_body: float = 0.0
    stall: float = 0.0
    stall_seconds: float = 30.0
    url_lifetime: int | None = None
    quota: int | None = None
    agent_rules: bool = False
    region_blocked: bool = False

    @classmethod
    def plain(cls) -> Self:
        """Every model is listed by the ordinary pass, every file is decoded, the network is sound."""
        return cls()

    @classmethod
    def mild(cls) -> Self:
        """About what the real catalogue has, with a sound network."""
        return cls(
            mature_only=0.3,
            minor=0.02,
            real_person=0.003,
            unlisted=0.01,
            archived=0.002,
            taken_down=0.001,
            ties=0.02,
            hidden_stats=0.005,
            no_creator=0.003,
            odd_licence=0.1,
            no_hashes=0.003,
            no_files=0.003,
            naive_time=0.002,
            twin_links=0.002,
            wrong_link=0.002,
            wrong_size=0.001,
            training_data=0.02,
            pickle=0.01,
            login_required=0.02,
            early_access=0.005,
            downloads_disabled=0.01,
            forbidden=0.001,
            gone=0.003,
            archived_late=0.001,
            no_metadata=0.08,
            html_body=0.001,
            zip_body=0.001,
            lfs_body=0.001,
            bad_header=0.002,
        )
