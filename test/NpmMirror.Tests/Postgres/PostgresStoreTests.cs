using NpmMirror.Conformance;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Postgres;

/// <summary>The whole contract over a real server.</summary>
[Claim("PostgreSQL keeps the whole contract of engines, over a real server whose own order is a language's",
    With =
    [
        nameof(Commits_only_onto_the_generation_that_was_expected),
        nameof(Lets_one_of_two_stores_win),
        nameof(Keeps_one_chain_for_all_writers),
        nameof(Gives_an_item_to_one_taker_only),
        nameof(Gives_an_item_to_one_of_two_stores),
        nameof(Lists_by_utf8_bytes),
        nameof(Lists_marks_as_rows_from_any_text_on),
    ],
    Red = "the comparison of generations left out of `PostgresCommit`: the first two were red; rows read without `for update`: the second; the log's end without it: the third; the queue taken without it: the fourth and the fifth; no `collate \"C\"`: the last two")]
[Trait("Duration", "long")]
public sealed class PostgresStoreTests(SharedPostgres shared) : PersistentMetadataStoreContract
{
    private readonly string _schema = PostgresServer.NewSchema();

    protected override IMetadataStore Create(TimeProvider timeProvider) => shared.GetAsync().GetAwaiter().GetResult().Create(_schema, timeProvider);
}
