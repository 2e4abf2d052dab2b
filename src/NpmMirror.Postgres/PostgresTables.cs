namespace NpmMirror.Postgres;

/// <summary>The tables, as the steps that lead from version n to n + 1. Steps are never changed once released.</summary>
/// <remarks>
/// Names are compared as UTF-8 bytes, case-exact. What cannot be, the server refuses: so readers need not look for it. Large values have tables of
/// their own and lie beside their rows uncompressed, because they are compressed already.
/// </remarks>
internal static class PostgresTables
{
    internal static IReadOnlyList<string> Steps { get; } =
    [
        """
        create table npm_mirror_schema (version int not null);
        create unique index npm_mirror_schema_only on npm_mirror_schema ((true));
        insert into npm_mirror_schema values (0);

        create domain package_name as text collate "C" check (octet_length(value) between 1 and 512);
        create domain moment as timestamptz check (value = '-infinity' or (value >= '0001-01-01 00:00:00+00' and value < '10000-01-01 00:00:00+00'));
        create domain sha256 as bytea check (octet_length(value) = 32);
        create domain sha512 as bytea check (octet_length(value) = 64);

        create sequence package_ids;
        create table packages (
            id bigint primary key,
            name package_name not null unique,
            generation bigint not null check (generation > 0),
            last_position bigint not null check (last_position >= 0),
            is_removed boolean not null,
            removal text check (removal in ('Unpublished', 'Gone', 'Blocked', 'SecurityHolder')),
            removal_reason text,
            rev text,
            ancestors text,
            upstream text,
            etag text,
            last_modified text,
            modified_at moment,
            first_seen_at moment not null,
            stored_at moment not null,
            raw_size int not null check (raw_size >= 0),
            document_sha256 sha256 not null,
            package_index bytea not null,
            check (is_removed = (removal is not null and removal <> 'SecurityHolder'))
        );
        alter table packages alter package_index set storage external;
        create unique index packages_by_position on packages (last_position) where last_position > 0;
        create index packages_removed on packages (name) where is_removed;

        -- is_pinned: events point into the document; it goes to the archive when another takes its place.
        create table documents (package bigint primary key, codec smallint not null, is_pinned boolean not null, bytes bytea not null);
        alter table documents alter bytes set storage external;
        create table archive (
            package bigint not null,
            sha256 sha256 not null,
            raw_size int not null check (raw_size >= 0),
            codec smallint not null,
            bytes bytea not null,
            primary key (package, sha256)
        );
        alter table archive alter bytes set storage external;

        -- payload: null after a purge; its digest stays and the chain still verifies.
        create table log (
            position bigint primary key check (position > 0),
            package bigint not null,
            generation bigint not null,
            ordinal int not null,
            type text not null,
            at moment,
            seen_at moment not null,
            upstream_rev text,
            payload_sha256 sha256 not null,
            hash sha256 not null,
            payload bytea
        );
        create index log_by_package on log (package, position);

        -- The end of the log. Who appends locks this row first: so rows become visible in their order, and none is missing before another.
        create table log_head (position bigint not null, hash sha256 not null) with (fillfactor = 10);
        create unique index log_head_only on log_head ((true));
        insert into log_head values (0, decode(repeat('00', 32), 'hex'));

        -- has_blind: enqueued without a rev since the last take.
        create table queue (
            name package_name primary key,
            priority smallint not null check (priority between -1 and 2),
            due_at moment not null,
            queued_at moment not null,
            wanted_rev text,
            is_deleted_row boolean not null,
            attempts int not null check (attempts >= 0),
            missing_since moment,
            last_error text,
            ticket bigint not null,
            has_blind boolean not null,
            token text,
            leased_until moment
        );
        create index queue_by_due on queue (priority, due_at, name);
        create index queue_leased on queue (leased_until) where token is not null;

        create table tarballs (
            package package_name not null,
            file text collate "C" not null,
            version text not null,
            state smallint not null check (state between 0 and 2),
            sha512 sha512,
            size bigint not null check (size >= 0),
            upstream_url text,
            verified_at moment,
            last_served_at moment,
            problem text,
            primary key (package, file),
            check (state <> 0 or sha512 is not null)
        );
        create index tarballs_by_sha512 on tarballs (sha512) where sha512 is not null;
        create table access (
            package package_name not null,
            file text collate "C" not null,
            client text collate "C" not null,
            day date not null,
            count bigint not null,
            primary key (package, file, client, day)
        );
        create index access_by_day on access (day);

        create table notes (key text collate "C" primary key, value text not null, size int not null);
        create table kept (path text collate "C" primary key, bytes bytea not null);
        create table leases (name text primary key, owner text not null, until moment not null);

        -- Each connection counts in a row of its own, as far as there are enough, so that counting makes nobody wait. probes: what CheckWritableAsync writes.
        create table counts (
            shard int primary key,
            packages bigint not null default 0,
            removed bigint not null default 0,
            raw_bytes bigint not null default 0,
            tarballs bigint not null default 0,
            tarball_bytes bigint not null default 0,
            queued bigint not null default 0,
            probes bigint not null default 0
        ) with (fillfactor = 50);
        insert into counts (shard) select generate_series(0, 15);

        create function count_package() returns trigger language plpgsql set search_path from current as $$
        begin
            update counts set
                packages = packages + coalesce((not new.is_removed)::int, 0) - coalesce((not old.is_removed)::int, 0),
                removed = removed + coalesce(new.is_removed::int, 0) - coalesce(old.is_removed::int, 0),
                raw_bytes = raw_bytes + coalesce(new.raw_size, 0) - coalesce(old.raw_size, 0)
            where shard = pg_backend_pid() % 16;
            return null;
        end $$;
        create trigger count_more after insert or delete on packages for each row execute function count_package();
        create trigger count_other after update on packages for each row
            when ((old.is_removed, old.raw_size) is distinct from (new.is_removed, new.raw_size)) execute function count_package();

        create function count_tarball() returns trigger language plpgsql set search_path from current as $$
        begin
            update counts set
                tarballs = tarballs + coalesce((new.state = 0)::int, 0) - coalesce((old.state = 0)::int, 0),
                tarball_bytes = tarball_bytes + coalesce(case when new.state = 0 then new.size end, 0) - coalesce(case when old.state = 0 then old.size end, 0)
            where shard = pg_backend_pid() % 16;
            return null;
        end $$;
        create trigger count_more after insert or delete on tarballs for each row execute function count_tarball();
        create trigger count_other after update on tarballs for each row
            when ((old.state, old.size) is distinct from (new.state, new.size)) execute function count_tarball();

        create function count_queued() returns trigger language plpgsql set search_path from current as $$
        begin
            update counts set queued = queued + (case tg_op when 'INSERT' then 1 else -1 end) * (select count(*) from changed)
            where shard = pg_backend_pid() % 16 and exists (select 1 from changed);
            return null;
        end $$;
        create trigger count_more after insert on queue referencing new table as changed for each statement execute function count_queued();
        create trigger count_less after delete on queue referencing old table as changed for each statement execute function count_queued();
        """,
        QueryTables.Step,
        "-- From here on documents are Zstandard, which programs of before do not read.",
    ];
}
