namespace NpmMirror.Postgres;

/// <summary>The tables and views that people query: the step to version 2 of the schema. The views' names and columns are a promise, see docs/postgresql.md.</summary>
internal static class QueryTables
{
    internal const string Step =
        """
        -- described: the generation whose columns and child rows are here; minus that generation where there is nothing to say (removed, purged, no packument);
        -- any other number: they have to be written. So a program that does not know these tables makes them stale by its own writes, and never wrong for good.
        alter table packages
            add column described bigint not null default 0,
            add column has_manifests boolean not null default false,
            add column description text,
            add column license text collate "C";
        create index packages_undescribed on packages (name) where abs(described) <> generation;
        create index packages_by_license on packages (license) where license is not null;

        create table package_versions (
            package bigint not null,
            version text collate "C" not null,
            published_at moment,
            license text collate "C",
            deprecated text,
            dependencies jsonb,
            manifest jsonb,
            primary key (version, package)
        );
        create index package_versions_by_package on package_versions (package);
        create index package_versions_by_date on package_versions (published_at) where published_at is not null;

        -- kind: 0 keyword, 1 maintainer, 2 dependency of any version, 3 dist-tag, whose value is a version.
        create table package_words (
            package bigint not null,
            kind smallint not null check (kind between 0 and 3),
            word text collate "C" not null,
            value text collate "C" not null default '',
            primary key (package, kind, word)
        );
        create index package_words_by_word on package_words (kind, word, value);

        -- What jsonb cannot hold (U+0000, half of a surrogate pair, numbers beyond numeric, deep nesting) is null.
        create function jsonb_or_null(given text) returns jsonb language plpgsql immutable strict as $$
        begin
            return given::jsonb;
        exception when others then
            return null;
        end $$;

        create view npm_packages as
            select name, description, license, is_removed as removed, removal, removal_reason, rev, upstream, modified_at, first_seen_at, stored_at, generation,
                last_position, raw_size, abs(described) = generation as is_current
            from packages;
        create view npm_versions as
            select p.name as package, v.version, v.published_at, v.license, v.deprecated, coalesce(v.dependencies, '{}') as dependencies, v.manifest
            from package_versions v join packages p on p.id = v.package;
        create view npm_dependencies as
            select p.name as package, v.version, w.word as dependency, v.dependencies ->> w.word as range, v.published_at
            from package_words w join packages p on p.id = w.package join package_versions v on v.package = w.package and v.dependencies ? w.word where w.kind = 2;
        create view npm_keywords as select p.name as package, w.word as keyword from package_words w join packages p on p.id = w.package where w.kind = 0;
        create view npm_maintainers as select p.name as package, w.word as maintainer from package_words w join packages p on p.id = w.package where w.kind = 1;
        create view npm_dist_tags as select p.name as package, w.word as tag, w.value as version from package_words w join packages p on p.id = w.package where w.kind = 3;
        """;
}

/// <summary>What a word of a package is; the numbers are stored.</summary>
internal enum WordKind : short
{
    Keyword = 0,
    Maintainer = 1,
    Dependency = 2,
    DistTag = 3,
}
