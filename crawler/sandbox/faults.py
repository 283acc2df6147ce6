"""Everything that can be out of order in the catalogue, each with a switch."""

from dataclasses import dataclass, replace
from typing import Annotated, Self

from msgspec import Meta

Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0, le=3600)]  # nobody waits longer than an hour for a stall


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How often each oddity occurs; by default none of them does.

    Shares go from 0 (never) to 1 (always). The switches up to `giant_body` are what the catalogue
    holds and refuses, the same at every try; `moves` and `drift` change it while it is read; those
    from `busy` on trouble single requests: another try may succeed.

    Attributes:
        mature_only: Models that the ordinary pass hides.
        minor: Models that only the ordinary pass shows.
        real_person: Models that no list shows and whose files are not found.
        unlisted: Models left without a version after the page was cut: short pages.
        unlisted_run: So many models in a row, behind the tied ones, are unlisted: empty pages.
        archived: Models in mode `Archived`, hidden unless asked for.
        taken_down: Models in mode `TakenDown`, without images.
        tied_run: So many models, the first ones, share one time; `Oldest` never gets past a page full.
        ties: Models whose `lastVersionAt` is that of the model before.
        hidden_stats: Statistics that are null.
        no_creator: Models without `creator`.
        odd_licence: `allowCommercialUse` in one of its older spellings.
        no_hashes: Files with empty `hashes`.
        no_files: Versions with empty `files`.
        unscanned: Files that were not scanned yet: no SHA-256, no time of the scan.
        naive_time: `scannedAt` without a zone.
        sparse: Models with null, or nothing, wherever the site allows it.
        odd_name: Versions whose files have names beyond ASCII, with quotes, or with percent signs.
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
        giant_body: Files with a header like any other and 24 GiB of weights.
        moves: Models that get a version, within one list call for every 200 models, and go to the end.
        drift: Models whose statistics rise or fall meanwhile: orders by them repeat and miss.
        edge_cache: List calls for which a URL, asked without a key, is answered as it was before.
        deploy_at: The first cursor from this list call on is refused; None for never.
        busy: API requests that answer 503 with `Retry-After`.
        retry_after: What `Retry-After` says, in seconds.
        server_error: API requests that answer 500 in JSON.
        bad_gateway: API requests that answer 502 in HTML.
        gateway_timeout: API requests that answer 504 in HTML.
        html_reply: API requests that answer 200 in HTML where JSON or a link was due.
        edge_block: API requests that the edge answers with 403 and `error code: 1010`.
        lost_file: Download requests that answer 404 only for the moment.
        whole_file: Storage requests with a Range that get 200 and the whole file.
        cut_body: Storage replies that end in the middle.
        stall: Storage replies that stop sending in the middle for `stall_seconds`.
        stall_seconds: How long, in seconds.
        storage_busy: Storage requests that answer 503.
        storage_forbidden: Storage requests that the edge answers with 403.
        expired_link: Those that call the link too old; this or the one above befalls a file once.
        most_strikes: How often these strike one list URL, or one file, at most; None for no end.
        url_lifetime: Seconds a signed URL holds; None for what the real storages grant.
        quota: Counted downloads after which every further one answers 429; None for no end.
        blacklisted: Whether every download request answers 403 `Forbidden`.
        agent_rules: Whether the edges refuse bare clients by their User-Agent.
        region_blocked: Whether every API request answers 451.
    """

    mature_only: Share = 0.0
    minor: Share = 0.0
    real_person: Share = 0.0
    unlisted: Share = 0.0
    unlisted_run: Count = 0
    archived: Share = 0.0
    taken_down: Share = 0.0
    tied_run: Count = 1
    ties: Share = 0.0
    hidden_stats: Share = 0.0
    no_creator: Share = 0.0
    odd_licence: Share = 0.0
    no_hashes: Share = 0.0
    no_files: Share = 0.0
    unscanned: Share = 0.0
    naive_time: Share = 0.0
    sparse: Share = 0.0
    odd_name: Share = 0.0
    twin_links: Share = 0.0
    wrong_link: Share = 0.0
    wrong_size: Share = 0.0
    training_data: Share = 0.0
    pickle: Share = 0.0
    login_required: Share = 0.0
    early_access: Share = 0.0
    downloads_disabled: Share = 0.0
    forbidden: Share = 0.0
    gone: Share = 0.0
    archived_late: Share = 0.0
    no_metadata: Share = 0.0
    html_body: Share = 0.0
    zip_body: Share = 0.0
    lfs_body: Share = 0.0
    bad_header: Share = 0.0
    huge_header: Share = 0.0
    giant_body: Share = 0.0
    moves: Share = 0.0
    drift: Share = 0.0
    edge_cache: Count = 0
    deploy_at: Count | None = None
    busy: Share = 0.0
    retry_after: Count = 2
    server_error: Share = 0.0
    bad_gateway: Share = 0.0
    gateway_timeout: Share = 0.0
    html_reply: Share = 0.0
    edge_block: Share = 0.0
    lost_file: Share = 0.0
    whole_file: Share = 0.0
    cut_body: Share = 0.0
    stall: Share = 0.0
    stall_seconds: Seconds = 30.0
    storage_busy: Share = 0.0
    storage_forbidden: Share = 0.0
    expired_link: Share = 0.0
    most_strikes: Count | None = None
    url_lifetime: Count | None = None
    quota: Count | None = None
    blacklisted: bool = False
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

    @classmethod
    def full(cls) -> Self:
        """Everything at once that a crawl must live through.

        Final, and what `Catalogue.truth` says: refusals, damaged and huge files, what no list shows.

        Passing, two of them on one list URL or one file altogether, so that a third try succeeds:
        `busy`, `server_error`, `bad_gateway`, `gateway_timeout`, `lost_file`, `storage_busy`,
        `cut_body`, `stall`; `storage_forbidden` and `expired_link` for one more counted download;
        `html_reply` and `edge_block`, which say nothing of the file that was asked for.

        No failure: `whole_file`, `wrong_link` for who asks by file id, `edge_cache`, `moves`,
        `drift`, short and empty pages. The first 130 models share one time, more than a page holds:
        only who splits the walk, or comes from `Newest`, gets past them. What ends a run for the
        day is left out: `quota`, `blacklisted`, `region_blocked`.
        """
        return replace(
            cls.mild(),
            real_person=0.01,
            unlisted=0.03,
            unlisted_run=250,
            archived=0.01,
            tied_run=130,
            hidden_stats=0.02,
            no_creator=0.02,
            no_hashes=0.02,
            no_files=0.01,
            unscanned=0.02,
            naive_time=0.02,
            sparse=0.02,
            odd_name=0.03,
            twin_links=0.02,
            wrong_link=0.02,
            wrong_size=0.02,
            early_access=0.02,
            forbidden=0.01,
            gone=0.02,
            html_body=0.01,
            zip_body=0.01,
            lfs_body=0.01,
            bad_header=0.02,
            huge_header=0.002,
            giant_body=0.01,
            moves=0.03,
            drift=0.05,
            edge_cache=300,
            busy=0.02,
            retry_after=0,  # HTTP knows whole seconds only
            server_error=0.01,
            bad_gateway=0.01,
            gateway_timeout=0.01,
            html_reply=0.001,
            edge_block=0.0005,
            lost_file=0.02,
            whole_file=0.05,
            cut_body=0.02,
            stall=0.005,
            stall_seconds=0.2,
            storage_busy=0.01,
            storage_forbidden=0.01,
            expired_link=0.01,
            most_strikes=2,
            agent_rules=True,
        )
