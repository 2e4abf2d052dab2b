using NpmMirror.Conformance;
using NpmMirror.Sqlite;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Sqlite;

[Claim("One contract over memory and SQLite: commits by generation, a dense chained log, the queue's merging and leases, tarballs never replaced",
    With =
    [
        nameof(Commits_only_onto_the_generation_that_was_expected),
        $"{nameof(Storage.MemoryStoreTests)}.{nameof(Storage.MemoryStoreTests.Commits_only_onto_the_generation_that_was_expected)}",
        nameof(Lets_exactly_one_of_many_racers_win),
        nameof(Numbers_densely_and_chains),
        $"{nameof(Storage.MemoryStoreTests)}.{nameof(Storage.MemoryStoreTests.Numbers_densely_and_chains)}",
        nameof(Shows_a_reader_of_position_n_no_row_up_to_n_later),
        nameof(Merges_items_of_one_name),
        nameof(Gives_out_again_an_item_not_finished_in_time),
        nameof(Moves_the_cursor_with_the_items),
        nameof(Moves_no_cursor_when_items_cannot_all_be_queued),
        $"{nameof(Storage.MemoryStoreTests)}.{nameof(Storage.MemoryStoreTests.Moves_no_cursor_when_items_cannot_all_be_queued)}",
    ],
    Red = "the comparison of generations left out of `SqliteStore.Commit`: the first was red; the cursor set with the first batch of items, or before them: `Moves_no_cursor_when_items_cannot_all_be_queued` was red")]
[Claim("Names that differ only in case stay apart; lists are by UTF-8 bytes (never-again 18)",
    With =
    [
        nameof(Keeps_names_apart_that_differ_only_in_case),
        $"{nameof(Storage.MemoryStoreTests)}.{nameof(Storage.MemoryStoreTests.Keeps_names_apart_that_differ_only_in_case)}",
        nameof(Lists_by_utf8_bytes),
        $"{nameof(Storage.FileBlobStoreTests)}.{nameof(Storage.FileBlobStoreTests.Names_files_by_their_hash_alone)}",
    ],
    Red = "`COLLATE NOCASE` on `packages.name`: the first and the third were red")]
[Claim("A due time, a lease or an age in the store is believed no further ahead than the longest allowed one: a clock that was ahead holds nothing up once it is right",
    With =
    [
        nameof(Believes_no_due_time_of_a_clock_that_was_ahead),
        $"{nameof(Storage.MemoryStoreTests)}.{nameof(Storage.MemoryStoreTests.Believes_no_due_time_of_a_clock_that_was_ahead)}",
        nameof(Believes_no_lease_on_an_item_of_a_clock_that_was_ahead),
        $"{nameof(Storage.MemoryStoreTests)}.{nameof(Storage.MemoryStoreTests.Believes_no_lease_on_an_item_of_a_clock_that_was_ahead)}",
        nameof(Believes_no_lease_of_a_clock_that_was_ahead),
        $"{nameof(Storage.MemoryStoreTests)}.{nameof(Storage.MemoryStoreTests.Believes_no_lease_of_a_clock_that_was_ahead)}",
        nameof(Counts_the_age_of_an_item_from_the_moment_the_clock_was_set_right),
        nameof(Gives_no_lease_longer_than_is_believed),
    ],
    Red = "the engines as they were: all red")]
[Claim("The list of everything is the rows', from any text on, each once",
    With =
    [
        nameof(Lists_marks_as_rows_from_any_text_on),
        $"{nameof(Storage.MemoryStoreTests)}.{nameof(Storage.MemoryStoreTests.Lists_marks_as_rows_from_any_text_on)}",
        nameof(Lists_thousands_of_marks_once_each),
        $"{nameof(AspNetCore.FeedTests)}.{nameof(AspNetCore.FeedTests.All_docs_lists_held_packages_in_byte_order)}",
    ],
    Red = "a page of `SqliteStore.ListMarksAsync` begins with the last name of the one before: the third was red; it begins after the name it is given: the first (of `MemoryStore`: the second); `_all_docs` does not look at `startkey`: the last")]
[Claim("A held tarball's row never names other bytes (never-again 21, as far as the store goes)",
    With =
    [
        nameof(Never_replaces_a_held_tarball_by_other_bytes),
        $"{nameof(Storage.MemoryStoreTests)}.{nameof(Storage.MemoryStoreTests.Never_replaces_a_held_tarball_by_other_bytes)}",
        nameof(Lets_one_of_two_different_tarballs_in),
    ],
    Red = "the comparison of hashes left out of `PutTarballAsync`: the first and the last were red")]
[Claim("Compatibility C1: found, put, removed, listed, and engines by name or assembly; a wrong one is answered with the known ones",
    With =
    [
        nameof(Holds_nothing_at_first),
        nameof(Gives_back_a_commit),
        nameof(Says_that_it_is_closed),
        $"{nameof(SqliteEngineTests)}.{nameof(SqliteEngineTests.Can_be_loaded_as_a_module)}",
        $"{nameof(Storage.MetadataEnginesTests)}.{nameof(Storage.MetadataEnginesTests.Says_which_engines_there_are)}",
        $"{nameof(Storage.MetadataEnginesTests)}.{nameof(Storage.MetadataEnginesTests.Refuses_engine_and_module_together)}",
        $"{nameof(SqliteEngineTests)}.{nameof(SqliteEngineTests.Refuses_a_collection_that_it_does_not_know_and_writes_nothing)}",
    ],
    Red = "SQLite stores a document without its last byte: the second was red; engine and module are both taken: the sixth; SQLite does not check its options: the last")]
[Claim("Compatibility C2: the graveyard has removed packages with their last document, gives back republished ones, and has no unknown ones",
    With =
    [
        nameof(Has_the_removed_in_the_graveyard_with_their_last_document),
        $"{nameof(Storage.MemoryStoreTests)}.{nameof(Storage.MemoryStoreTests.Has_the_removed_in_the_graveyard_with_their_last_document)}",
        nameof(Takes_the_republished_out_of_the_graveyard),
        nameof(Leaves_no_row_for_an_unknown_package_that_a_commit_expected),
        nameof(Leaves_no_row_where_a_first_commit_has_no_document),
    ],
    Red = "a removal deletes the document; `is_removed` is never taken back")]
[Claim("File names never become paths in rows (never-again 18)",
    With = [nameof(Keeps_a_file_name_as_a_name), $"{nameof(Storage.MemoryStoreTests)}.{nameof(Storage.MemoryStoreTests.Keeps_a_file_name_as_a_name)}"],
    Red = "`PutTarballAsync` of SQLite keeps `Path.GetFileName` of it: the first was red")]
public sealed class SqliteStoreTests : PersistentMetadataStoreContract
{
    private readonly TempFolder _folder = new();

    protected override IMetadataStore Create(TimeProvider timeProvider) => new SqliteStore(_folder.File("mirror.sqlite"), timeProvider);

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _folder.Dispose();
    }
}
