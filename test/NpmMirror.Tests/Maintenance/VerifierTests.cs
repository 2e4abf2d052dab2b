using NpmMirror.Log;
using NpmMirror.Maintenance;
using NpmMirror.Options;
using NpmMirror.Packuments;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Maintenance;

public sealed class VerifierTests : IAsyncLifetime
{
    private MaintenanceBench _bench = null!;

    public async ValueTask InitializeAsync()
    {
        _bench = await MaintenanceBench.StartAsync();
        await _bench.HoldAsync("left-pad", "1.0.0", "1.1.0");
        await _bench.HoldAsync("ms", "1.0.0");
        _bench.Clock.Advance(TimeSpan.FromHours(1));
    }

    public ValueTask DisposeAsync() => _bench.DisposeAsync();

    [Claim("Verify finds each change that the store did not make: bytes of tarballs, documents, indexes, documents of the past, payloads, links and rows of the log",
        With =
        [
            nameof(Finds_bytes_that_changed_and_bytes_that_are_gone_and_mends_both),
            nameof(Finds_a_document_damaged_at_any_place_and_mends_it),
            nameof(Finds_each_change_that_the_store_did_not_make),
            nameof(Finds_a_document_of_the_past_that_is_damaged_or_gone),
        ],
        Red = "`TarballVerification` takes any hash for the right one: the second was red; `LogVerification` does not compute the link: the fourth")]
    [Fact]
    public async Task Finds_nothing_wrong_with_stored_packages()
    {
        // A change, a removal and a holder: documents of the past are looked at too.
        _bench.Upstream.PublishVersion("ms", "2.0.0");
        await _bench.SyncAsync("ms");
        _bench.Upstream.Unpublish("ms");
        await _bench.SyncAsync("ms");
        _bench.Upstream.TakeDown("left-pad");
        await _bench.SyncAsync("left-pad");
        _bench.Clock.Advance(TimeSpan.FromHours(1));

        var (findings, summary) = await _bench.VerifyAsync();
        Assert.Empty(findings);
        var head = await _bench.Store.Log.ReadHeadAsync(TestContext.Current.CancellationToken);
        Assert.Equal((head, head.Position.Value, 5, 0), (summary.Head, summary.LogRows, summary.Tarballs, summary.Skipped));
        Assert.Equal(4, summary.Documents);
    }

    [Fact]
    public async Task Finds_bytes_that_changed_and_bytes_that_are_gone_and_mends_both()
    {
        var (changed, gone) = (await _bench.RowAsync("left-pad"), await _bench.RowAsync("ms"));
        var bytes = await File.ReadAllBytesAsync(_bench.FileOf(changed!.Sha512), TestContext.Current.CancellationToken);
        bytes[^1] ^= 1;
        await File.WriteAllBytesAsync(_bench.FileOf(changed.Sha512), bytes, TestContext.Current.CancellationToken);
        File.Delete(_bench.FileOf(gone!.Sha512));

        var (findings, _) = await _bench.VerifyAsync();
        Assert.Equal(
            [(VerifyFault.TarballDamaged, "left-pad/left-pad-1.0.0.tgz", false), (VerifyFault.TarballMissing, "ms/ms-1.0.0.tgz", false)],
            findings.OrderBy(finding => finding.Subject).Select(finding => (finding.Fault, finding.Subject, finding.IsRepaired)));

        var (mended, summary) = await _bench.VerifyAsync(new VerifyRequest { Repairs = _bench.Repairs });
        Assert.Equal((2, true, 0), (mended.Count, mended.All(finding => finding.IsRepaired), summary.Left));
        Assert.Empty((await _bench.VerifyAsync()).Findings);
    }

    [Claim("Verify finds stored bytes without a promised hash that are no tar archive, and with a repair fetches others",
        With = [nameof(Says_when_the_upstream_sends_no_better_one), nameof(Bytes_that_are_no_tar_stay_if_their_version_is_not_listed)],
        Red = "`TarballVerification` makes no `GzipCheck`")]
    [Theory]
    [InlineData("<html>Please log in</html>")]
    [InlineData("")]
    [InlineData("\u001f\u008b cut")]
    [InlineData("a page longer than a block                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        ")]
    public async Task Finds_and_mends_a_file_without_a_promised_hash_that_is_no_tar(string body)
    {
        var right = await HoldUnpromisedAsync("odd");
        var wrong = await _bench.PutBlobAsync(System.Text.Encoding.Latin1.GetBytes(body));
        _bench.Tamper($"UPDATE tarballs SET sha512 = x'{wrong.Hex}', size = {body.Length} WHERE file = 'odd-1.0.0.tgz'");

        var finding = Assert.Single((await _bench.VerifyAsync()).Findings);
        Assert.Equal((VerifyFault.TarballDamaged, "odd/odd-1.0.0.tgz", false), (finding.Fault, finding.Subject, finding.IsRepaired));
        Assert.Contains("tar archive", finding.Problem, StringComparison.Ordinal);
        Assert.Equal(wrong, (await _bench.RowAsync("odd"))!.Sha512);

        var (mended, summary) = await _bench.VerifyAsync(new VerifyRequest { Repairs = _bench.Repairs });
        Assert.Equal((1, true, 0), (mended.Count, mended.All(found => found.IsRepaired), summary.Left));
        Assert.Equal(right, (await _bench.RowAsync("odd"))!.Sha512);
        _bench.Clock.Advance(TimeSpan.FromHours(1));
        Assert.Empty((await _bench.VerifyAsync()).Findings);
    }

    [Claim("Verify finds a tarball row whose size is not that of its bytes, and mends it",
        Red = "sizes are not compared (as before)")]
    [Theory]
    [InlineData("size + 1")]
    [InlineData("size - 1")]
    [InlineData("0")]
    public async Task Finds_a_size_that_is_not_the_bytes_own_and_mends_it(string size)
    {
        var right = (await _bench.RowAsync("ms"))!;
        _bench.Tamper($"UPDATE tarballs SET size = {size} WHERE package = 'ms'");
        var finding = Assert.Single((await _bench.VerifyAsync()).Findings);
        Assert.Equal((VerifyFault.RowDamaged, "ms/ms-1.0.0.tgz", false), (finding.Fault, finding.Subject, finding.IsRepaired));
        Assert.True(Assert.Single((await _bench.VerifyAsync(new VerifyRequest { Repairs = _bench.Repairs })).Findings).IsRepaired);
        Assert.Equal((right.SizeBytes, right.Sha512), ((await _bench.RowAsync("ms"))!.SizeBytes, (await _bench.RowAsync("ms"))!.Sha512));
        _bench.Clock.Advance(TimeSpan.FromHours(1));
        Assert.Empty((await _bench.VerifyAsync()).Findings);
    }

    [Claim("A repair of a tarball's row leaves its right bytes where they are, also while the upstream is away",
        Red = "`TarballVerification` takes them for bytes that others have to replace")]
    [Fact]
    public async Task A_wrong_size_costs_no_bytes_while_the_upstream_is_away()
    {
        var held = await HoldUnpromisedAsync("odd");
        _bench.Tamper("UPDATE tarballs SET size = size + 1 WHERE package = 'odd'");
        _bench.Upstream.Knobs.Fail("*", 500);
        Assert.Single((await _bench.VerifyAsync(new VerifyRequest { Repairs = _bench.Repairs })).Findings);
        Assert.Equal(held, (await _bench.RowAsync("odd"))?.Sha512);
    }

    [Fact]
    public async Task A_damaged_document_of_a_removed_package_is_told_as_lost()
    {
        _bench.Upstream.Delete("ms");
        await _bench.SyncAsync("ms", new QueueItem { Name = PackageName.Parse("ms"), Priority = QueuePriority.Change, DueAt = _bench.Clock.GetUtcNow(), QueuedAt = _bench.Clock.GetUtcNow(), IsDeletedRow = true });
        Damage("ms");
        foreach (var repairs in new[] { null, _bench.Repairs })
        {
            var (findings, summary) = await _bench.VerifyAsync(new VerifyRequest { Repairs = repairs });
            var finding = findings.Single(one => one.Fault == VerifyFault.DocumentDamaged);
            Assert.Equal(("ms", false), (finding.Subject, finding.IsRepaired));
            Assert.Contains("The upstream has no such package any more.", finding.Problem, StringComparison.Ordinal);
            Assert.Equal(findings.Count, summary.Left);
        }
    }

    [Theory]
    [InlineData(-5)]
    [InlineData(0)]
    public async Task A_row_of_the_log_before_its_beginning_is_found(int position)
    {
        _bench.Tamper($"UPDATE log SET position = {position} WHERE position = 1");
        var (findings, _) = await _bench.VerifyAsync();
        Assert.Contains(findings, finding => finding is { Fault: VerifyFault.RowDamaged, IsRepaired: false } && finding.Subject == $"log {position}");
        Assert.Contains(findings, finding => finding is { Fault: VerifyFault.LogBroken, Subject: "log 1" });
    }

    [Fact]
    public async Task A_tarball_that_is_not_held_is_not_looked_for()
    {
        var row = (await _bench.RowAsync("ms"))!;
        await _bench.Store.Tarballs.PutTarballAsync(new TarballRow { Package = row.Package, File = "ms-9.9.9.tgz", Version = "9.9.9", State = TarballState.Missing }, TestContext.Current.CancellationToken);
        var (findings, summary) = await _bench.VerifyAsync();
        Assert.Empty(findings);
        Assert.Equal(3, summary.Tarballs);
    }

    [Claim("A tarball without a promised hash is asked for again at a refresh and at a repair, and other bytes replace it; if the upstream sends none, it stays",
        With =
        [
            $"{nameof(AspNetCore.RefreshUnpromisedTests)}.{nameof(AspNetCore.RefreshUnpromisedTests.A_refresh_takes_other_bytes_of_a_tarball_without_a_promised_hash)}",
        ],
        Red = "nothing is asked again (as before)")]
    [Fact]
    public async Task A_repair_asks_again_for_a_tarball_without_a_promised_hash()
    {
        var held = await HoldUnpromisedAsync("odd");
        Assert.Empty((await _bench.VerifyAsync(new VerifyRequest { Repairs = _bench.Repairs })).Findings);
        Assert.Equal(held, (await _bench.RowAsync("odd"))!.Sha512);

        // The upstream sent a whole archive then, and it has another one now.
        _bench.Clock.Advance(TimeSpan.FromHours(1));
        _bench.Upstream.Tarballs["/odd/-/odd-1.0.0.tgz"] = _bench.Upstream.Tarballs["/ms/-/ms-1.0.0.tgz"];
        Assert.Empty((await _bench.VerifyAsync()).Findings);
        Assert.Equal(held, (await _bench.RowAsync("odd"))!.Sha512);
        _bench.Clock.Advance(TimeSpan.FromHours(1));
        var (mended, summary) = await _bench.VerifyAsync(new VerifyRequest { Repairs = _bench.Repairs });
        Assert.Equal(("odd/odd-1.0.0.tgz", true, 0), (Assert.Single(mended).Subject, mended[0].IsRepaired, summary.Left));
        var row = (await _bench.RowAsync("odd"))!;
        Assert.Equal(((await _bench.RowAsync("ms"))!.Sha512, true), (row.Sha512, row.IsUnpromised));

        // No answer of the upstream, or a page, is no reason against the held tarball.
        foreach (var body in new[] { "<html>"u8.ToArray(), null })
        {
            _bench.Clock.Advance(TimeSpan.FromHours(1));
            if (body is null)
            {
                _bench.Upstream.Tarballs.TryRemove("/odd/-/odd-1.0.0.tgz", out _);
            }
            else
            {
                _bench.Upstream.Tarballs["/odd/-/odd-1.0.0.tgz"] = body;
            }

            Assert.Empty((await _bench.VerifyAsync(new VerifyRequest { Repairs = _bench.Repairs })).Findings);
            Assert.Equal(row.Sha512, (await _bench.RowAsync("odd"))!.Sha512);
        }
    }

    [Fact]
    public async Task Says_when_the_upstream_sends_no_better_one()
    {
        await HoldUnpromisedAsync("odd");
        var wrong = await _bench.PutBlobAsync("<html>"u8.ToArray());
        _bench.Tamper($"UPDATE tarballs SET sha512 = x'{wrong.Hex}', size = 6 WHERE file = 'odd-1.0.0.tgz'");
        _bench.Upstream.Tarballs["/odd/-/odd-1.0.0.tgz"] = "<html>still</html>"u8.ToArray();
        var (findings, summary) = await _bench.VerifyAsync(new VerifyRequest { Repairs = _bench.Repairs });
        Assert.Contains("could not be mended", Assert.Single(findings).Problem, StringComparison.Ordinal);
        Assert.Equal(1, summary.Left);
        Assert.Equal(NpmMirror.Storage.TarballState.Corrupt, (await _bench.RowAsync("odd"))!.State);
    }

    [Fact]
    public async Task Bytes_that_are_no_tar_stay_if_their_version_is_not_listed()
    {
        await HoldUnpromisedAsync("odd");
        var wrong = await _bench.PutBlobAsync("<html>"u8.ToArray());
        _bench.Upstream.PublishVersion("odd", "2.0.0");
        _bench.Upstream.UnpublishVersion("odd", "1.0.0");
        await _bench.SyncAsync("odd");
        _bench.Tamper($"UPDATE tarballs SET sha512 = x'{wrong.Hex}', size = 6 WHERE file = 'odd-1.0.0.tgz'");
        var (findings, _) = await _bench.VerifyAsync(new VerifyRequest { Repairs = _bench.Repairs });
        Assert.Contains("does not list", Assert.Single(findings).Problem, StringComparison.Ordinal);
        Assert.Equal(wrong, (await _bench.RowAsync("odd"))!.Sha512);
    }

    [Fact]
    public async Task Says_why_a_tarball_cannot_be_mended()
    {
        File.Delete(_bench.FileOf((await _bench.RowAsync("ms"))!.Sha512));
        _bench.Upstream.Delete("ms");
        var (findings, summary) = await _bench.VerifyAsync(new VerifyRequest { Repairs = _bench.Repairs });
        Assert.Contains("could not be mended: The upstream has no tarball", Assert.Single(findings).Problem, StringComparison.Ordinal);
        Assert.Equal(1, summary.Left);
    }

    [Claim("Damage is mended in the usual ways, also if the upstream would say that nothing changed; damage that cannot be mended is told with the reason",
        With =
        [
            nameof(Mends_a_damaged_document_that_has_changed_upstream),
            nameof(Says_why_a_tarball_cannot_be_mended),
            $"{nameof(Cli.MaintenanceCommandTests)}.{nameof(Cli.MaintenanceCommandTests.Verify_tells_damage_by_its_exit_code_and_mends_it)}",
        ],
        Red = "`RepairAsync` asks conditionally: the first two were red")]
    [Fact]
    public async Task Finds_a_document_damaged_at_any_place_and_mends_it()
    {
        foreach (var at in (int[])[5, 20, 60, 100])
        {
            _bench.Tamper($"UPDATE documents SET bytes = CAST(substr(bytes, 1, {at} - 1) || x'a5a5a5' || substr(bytes, {at} + 3) AS BLOB) WHERE package = (SELECT id FROM packages WHERE name = 'left-pad')");
            var finding = Assert.Single((await _bench.VerifyAsync()).Findings);
            Assert.Equal((VerifyFault.DocumentDamaged, "left-pad"), (finding.Fault, finding.Subject));

            // The upstream still has the very document that is held, and would say that nothing changed.
            var (mended, _) = await _bench.VerifyAsync(new VerifyRequest { Repairs = _bench.Repairs });
            Assert.True(Assert.Single(mended).IsRepaired, mended[0].Problem);
            Assert.Empty((await _bench.VerifyAsync()).Findings);
        }

        Assert.Equal(2, (await _bench.Store.Log.ReadHeadAsync(TestContext.Current.CancellationToken)).Position.Value);
    }

    [Fact]
    public async Task A_document_in_the_form_that_went_is_named_and_fetched_again()
    {
        _bench.Tamper("UPDATE documents SET codec = 3 WHERE package = (SELECT id FROM packages WHERE name = 'ms')");
        var finding = Assert.Single((await _bench.VerifyAsync()).Findings);
        Assert.Equal((VerifyFault.DocumentDamaged, "ms"), (finding.Fault, finding.Subject));
        Assert.Contains("has the form of store.documents=served", finding.Problem, StringComparison.Ordinal);
        Assert.True(Assert.Single((await _bench.VerifyAsync(new VerifyRequest { Repairs = _bench.Repairs })).Findings).IsRepaired);
        Assert.Equal(DocumentCodecs.Usual, (await _bench.Store.Packages.ReadAsync(PackageName.Parse("ms"), TestContext.Current.CancellationToken))!.Document.Codec);
    }

    [Fact]
    public async Task Mends_a_damaged_document_that_has_changed_upstream()
    {
        _bench.Tamper("UPDATE documents SET bytes = x'00'");
        _bench.Upstream.PublishVersion("ms", "2.0.0");
        var (mended, _) = await _bench.VerifyAsync(new VerifyRequest { Repairs = _bench.Repairs });
        Assert.Equal([true, true], mended.Select(finding => finding.IsRepaired));
        Assert.Empty((await _bench.VerifyAsync()).Findings);
        var log = await _bench.Store.Log.ReadLogAsync(new LogPosition(2), TestContext.Current.CancellationToken).Select(row => row.Type).ToListAsync(TestContext.Current.CancellationToken);
        Assert.Equal(["VersionPublished", "DistTagMoved"], log);
    }

    [Claim("Rows deleted from the log's end, also if more was written since, and a last row replaced by one with a right link are found without a noted head",
        With =
        [
            nameof(Later_rows_do_not_hide_that_last_rows_were_deleted),
            nameof(Finds_a_last_row_that_was_replaced_by_one_with_a_right_link),
            nameof(A_store_from_before_heads_were_kept_is_right_and_keeps_its_head),
        ],
        Red = "the head is not kept beside the log")]
    [Theory]
    [InlineData("UPDATE packages SET package_index = x'0011' WHERE name = 'ms'", VerifyFault.DocumentDamaged, "ms")]
    [InlineData("DELETE FROM documents WHERE package = (SELECT id FROM packages WHERE name = 'ms')", VerifyFault.DocumentDamaged, "ms")]
    [InlineData("UPDATE packages SET document_sha256 = (SELECT document_sha256 FROM packages WHERE name = 'left-pad')", VerifyFault.DocumentDamaged, "ms")]
    [InlineData("UPDATE packages SET package_index = (SELECT package_index FROM packages WHERE name = 'left-pad')", VerifyFault.DocumentDamaged, "ms")]
    [InlineData("UPDATE tarballs SET (sha512, size) = (SELECT sha512, size FROM tarballs WHERE package = 'left-pad') WHERE package = 'ms'", VerifyFault.TarballNotPromised, "ms/ms-1.0.0.tgz")]
    [InlineData("UPDATE log SET payload = x'7b7d' WHERE position = 2", VerifyFault.LogBroken, "log 2")]
    [InlineData("UPDATE log SET seen_at = seen_at + 1 WHERE position = 1", VerifyFault.LogBroken, "log 1")]
    [InlineData("UPDATE log SET hash = zeroblob(32) WHERE position = 2", VerifyFault.LogBroken, "log 2")]
    [InlineData("DELETE FROM log WHERE position = 1", VerifyFault.LogBroken, "log 1")]
    [InlineData("DELETE FROM log WHERE position = 2", VerifyFault.LogBroken, "log 2")]
    [InlineData("DELETE FROM log", VerifyFault.LogBroken, "log 2")]
    [InlineData("DELETE FROM tarballs WHERE package = 'ms'", VerifyFault.TarballNotHeld, "ms/ms-1.0.0.tgz")]
    public async Task Finds_each_change_that_the_store_did_not_make(string sql, VerifyFault fault, string subject)
    {
        _bench.Tamper(sql);
        Assert.Contains((fault, subject), (await _bench.VerifyAsync()).Findings.Select(finding => (finding.Fault, finding.Subject)));
    }

    [Claim("A value that no npm-mirror writes is found with its table, row and column, and mended; other rows are checked, also if the damage cannot be mended, and if the marks of the last run are damaged",
        With =
        [
            nameof(Finds_damage_that_cannot_be_mended_and_checks_all_the_rest),
            nameof(A_damaged_row_of_the_graveyard_is_written_anew),
            nameof(A_verification_begins_anew_where_its_marks_are_damaged),
        ])]
    [Theory]
    [InlineData("UPDATE packages SET stored_at = 9223372036854775807 WHERE name = 'ms'", VerifyFault.DocumentDamaged, "ms", "stored_at")]
    [InlineData("UPDATE packages SET stored_at = 'yesterday' WHERE name = 'ms'", VerifyFault.DocumentDamaged, "ms", "stored_at")]
    [InlineData("UPDATE packages SET raw_size = -1 WHERE name = 'ms'", VerifyFault.DocumentDamaged, "ms", "raw_size")]
    [InlineData("UPDATE packages SET removal = 'Eaten' WHERE name = 'ms'", VerifyFault.DocumentDamaged, "ms", "removal")]
    [InlineData("UPDATE packages SET generation = 'many' WHERE name = 'ms'", VerifyFault.DocumentDamaged, "ms", "generation")]
    [InlineData("UPDATE packages SET last_position = x'00' WHERE name = 'ms'", VerifyFault.DocumentDamaged, "ms", "last_position")]
    [InlineData("UPDATE packages SET document_sha256 = x'0011' WHERE name = 'ms'", VerifyFault.DocumentDamaged, "ms", "document_sha256")]
    [InlineData("UPDATE packages SET is_removed = 7 WHERE name = 'ms'", VerifyFault.RowDamaged, "packages ms", "is_removed")]
    [InlineData("UPDATE documents SET codec = 'zip' WHERE package = (SELECT id FROM packages WHERE name = 'ms')", VerifyFault.DocumentDamaged, "ms", "codec")]
    [InlineData("DELETE FROM documents WHERE package = (SELECT id FROM packages WHERE name = 'ms')", VerifyFault.DocumentDamaged, "ms", "documents")]
    [InlineData("UPDATE tarballs SET sha512 = x'0011' WHERE package = 'ms'", VerifyFault.RowDamaged, "ms/ms-1.0.0.tgz", "sha512")]
    [InlineData("UPDATE tarballs SET state = 9 WHERE package = 'ms'", VerifyFault.RowDamaged, "ms/ms-1.0.0.tgz", "state")]
    [InlineData("UPDATE tarballs SET size = 'large' WHERE package = 'ms'", VerifyFault.RowDamaged, "ms/ms-1.0.0.tgz", "size")]
    [InlineData("UPDATE tarballs SET verified_at = 9223372036854775807 WHERE package = 'ms'", VerifyFault.RowDamaged, "ms/ms-1.0.0.tgz", "verified_at")]
    public async Task Finds_a_value_that_cannot_be_names_it_and_mends_it(string sql, VerifyFault fault, string subject, string column)
    {
        _bench.Tamper(sql);
        var finding = Assert.Single((await _bench.VerifyAsync()).Findings);
        Assert.Equal((fault, subject), (finding.Fault, finding.Subject));
        Assert.Contains(column, finding.Problem, StringComparison.Ordinal);
        Assert.Contains("ms", finding.Problem, StringComparison.Ordinal);

        var (mended, _) = await _bench.VerifyAsync(new VerifyRequest { Repairs = _bench.Repairs });
        Assert.True(Assert.Single(mended).IsRepaired, mended[0].Problem);
        Assert.Empty((await _bench.VerifyAsync()).Findings);
        // Without its hash it is not known whether the document has changed.
        Assert.Equal(column == "document_sha256" ? 3 : 2, (await _bench.Store.Log.ReadHeadAsync(TestContext.Current.CancellationToken)).Position.Value);
    }

    [Theory]
    [InlineData("UPDATE log SET seen_at = 'yesterday' WHERE position = 2", VerifyFault.LogBroken, "log 2")]
    [InlineData("UPDATE log SET hash = x'00' WHERE position = 2", VerifyFault.LogBroken, "log 2")]
    [InlineData("UPDATE log SET ordinal = 9223372036854775807 WHERE position = 1", VerifyFault.LogBroken, "log 1")]
    [InlineData("UPDATE log SET package = 4711 WHERE position = 1", VerifyFault.LogBroken, "log 1")]
    [InlineData("UPDATE packages SET name = 'not/a/name' WHERE name = 'ms'", VerifyFault.RowDamaged, "packages “not/a/name”")]
    [InlineData("UPDATE packages SET name = x'0011' WHERE name = 'ms'", VerifyFault.RowDamaged, "packages 2 bytes")]
    [InlineData("UPDATE tarballs SET package = x'0011' WHERE package = 'ms'", VerifyFault.RowDamaged, "tarballs 2 bytes ms-1.0.0.tgz")]
    [InlineData("UPDATE tarballs SET file = x'0011' WHERE package = 'ms'", VerifyFault.RowDamaged, "ms/")]
    public async Task Finds_damage_that_cannot_be_mended_and_checks_all_the_rest(string sql, VerifyFault fault, string subject)
    {
        _bench.Tamper(sql);
        _bench.Tamper("UPDATE tarballs SET state = 9 WHERE package = 'left-pad'");
        var (findings, _) = await _bench.VerifyAsync(new VerifyRequest { Repairs = _bench.Repairs });
        Assert.Contains((fault, subject, false), findings.Select(finding => (finding.Fault, finding.Subject, finding.IsRepaired)));
        Assert.Contains((VerifyFault.RowDamaged, "left-pad/left-pad-1.0.0.tgz", true), findings.Select(finding => (finding.Fault, finding.Subject, finding.IsRepaired)));
    }

    [Claim("A row that nobody can mend is found by each run, however lately the one before was",
        Red = "`DocumentVerification.IsMendedAsync` takes it for mended")]
    [Fact]
    public async Task A_row_that_cannot_be_mended_is_found_again()
    {
        _bench.Tamper("UPDATE packages SET name = 'not/a/name' WHERE name = 'ms'");
        for (var run = 0; run < 2; run++)
        {
            var (findings, _) = await _bench.VerifyAsync(new VerifyRequest { Repairs = _bench.Repairs, OlderThan = TimeSpan.FromDays(7) });
            Assert.Contains(findings, finding => finding.Subject == "packages “not/a/name”");
        }
    }

    [Theory]
    [InlineData("stored_at = 'yesterday'")]
    [InlineData("removal = 'Eaten'")]
    [InlineData("generation = 1.5")]
    public async Task A_damaged_row_of_the_graveyard_is_written_anew(string damage)
    {
        _bench.Upstream.Delete("ms");
        await _bench.SyncAsync("ms", new QueueItem { Name = PackageName.Parse("ms"), Priority = QueuePriority.Change, DueAt = _bench.Clock.GetUtcNow(), QueuedAt = _bench.Clock.GetUtcNow(), IsDeletedRow = true, Attempts = 50, WantedRev = "99-a", MissingSince = _bench.Clock.GetUtcNow() - TimeSpan.FromDays(3) });
        Assert.True((await _bench.Store.Packages.FindAsync(PackageName.Parse("ms"), TestContext.Current.CancellationToken))!.Facts.IsRemoved);
        _bench.Tamper($"UPDATE packages SET {damage} WHERE name = 'ms'");
        var (findings, _) = await _bench.VerifyAsync(new VerifyRequest { Repairs = _bench.Repairs });
        Assert.True(Assert.Single(findings).IsRepaired, findings[0].Problem);
        Assert.True((await _bench.Store.Packages.FindAsync(PackageName.Parse("ms"), TestContext.Current.CancellationToken)) is { Damage: null, Facts.IsRemoved: true });
    }

    [Theory]
    [InlineData("'nonsense'")]
    [InlineData("'{\"logHash\":\"xyz\",\"logPosition\":3,\"begunAt\":\"2040-01-01T12:30:00+00:00\"}'")]
    [InlineData("x'00'")]
    [InlineData("'[]'")]
    public async Task A_verification_begins_anew_where_its_marks_are_damaged(string marks)
    {
        await _bench.VerifyAsync();
        _bench.Tamper($"UPDATE notes SET value = {marks} WHERE key = 'verify:marks'");
        Assert.Equal(2, (await _bench.VerifyAsync()).Summary.LogRows);
    }

    [Fact]
    public async Task Later_rows_do_not_hide_that_last_rows_were_deleted()
    {
        _bench.Tamper("DELETE FROM log WHERE position = 2");
        await _bench.HoldAsync("debug", "1.0.0");
        var finding = Assert.Single((await _bench.VerifyAsync()).Findings);
        Assert.Equal((VerifyFault.LogBroken, "log 2"), (finding.Fault, finding.Subject));
        Assert.Equal(3, (await _bench.Store.Log.ReadHeadAsync(TestContext.Current.CancellationToken)).Position.Value);
    }

    [Fact]
    public async Task Finds_a_last_row_that_was_replaced_by_one_with_a_right_link()
    {
        var rows = await _bench.Store.Log.ReadLogAsync(LogPosition.Zero, TestContext.Current.CancellationToken).ToListAsync(TestContext.Current.CancellationToken);
        var other = ChainHash.Next(rows[0].Hash, rows[1] with { SeenAt = rows[1].SeenAt.AddSeconds(1) });
        _bench.Tamper($"UPDATE log SET seen_at = seen_at + 1000, hash = x'{other.Hex}' WHERE position = 2");
        var finding = Assert.Single((await _bench.VerifyAsync()).Findings);
        Assert.Equal((VerifyFault.LogBroken, "log 2"), (finding.Fault, finding.Subject));
        Assert.Contains("The past was changed", finding.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_store_from_before_heads_were_kept_is_right_and_keeps_its_head()
    {
        _bench.Tamper("DELETE FROM notes WHERE key = 'log:head'");
        Assert.Empty((await _bench.VerifyAsync()).Findings);
        await _bench.HoldAsync("debug", "1.0.0");
        _bench.Tamper("DELETE FROM log WHERE position = 3");
        Assert.Equal("log 3", Assert.Single((await _bench.VerifyAsync(new VerifyRequest { StartsAnew = true })).Findings).Subject);
    }

    [Fact]
    public async Task Finds_a_document_of_the_past_that_is_damaged_or_gone()
    {
        _bench.Upstream.TakeDown("left-pad");
        await _bench.SyncAsync("left-pad");
        _bench.Tamper("UPDATE archive SET bytes = x'00'");
        Assert.Equal(VerifyFault.ArchiveDamaged, Assert.Single((await _bench.VerifyAsync()).Findings).Fault);
        _bench.Tamper("DELETE FROM archive");
        Assert.Contains("is not there", Assert.Single((await _bench.VerifyAsync()).Findings).Problem, StringComparison.Ordinal);
    }

    [Claim("A past that was rewritten with right links is noticed from a noted head",
        Red = "`LogVerification` does not look for the noted head")]
    [Fact]
    public async Task Notices_a_past_that_was_rewritten_from_a_head_that_was_noted()
    {
        var noted = await _bench.Store.Log.ReadHeadAsync(TestContext.Current.CancellationToken);
        Assert.Empty((await _bench.VerifyAsync(new VerifyRequest { NotedHead = noted })).Findings);

        // Another past, with right links: nothing in the store itself tells.
        await using var other = await MaintenanceBench.StartAsync();
        await other.HoldAsync("left-pad", "9.0.0");
        await other.HoldAsync("ms", "1.0.0");
        Assert.Empty((await other.VerifyAsync()).Findings);
        Assert.Equal("log 2", Assert.Single((await other.VerifyAsync(new VerifyRequest { NotedHead = noted })).Findings).Subject);
    }

    [Claim("Verify is incremental, and goes on after an interruption without losing its findings (never-again 13, 15)",
        With =
        [
            nameof(Goes_on_where_it_was_cut_short_and_repeats_its_findings),
            nameof(A_run_that_was_cut_short_is_gone_on_with_for_a_week),
            nameof(The_believed_part_of_the_log_ends_at_a_row_that_is_still_there),
            nameof(A_head_that_was_noted_has_the_whole_log_looked_at),
            nameof(A_tarball_that_is_wanted_and_not_held_is_fetched_where_it_mends),
        ],
        Red = "a run that believed the log's beginning counts as one that read it: the first was red; the marked row is not looked at; a noted head is believed")]
    [Fact]
    public async Task Believes_recent_verifications_and_looks_at_the_rest()
    {
        await _bench.VerifyAsync();
        _bench.Clock.Advance(TimeSpan.FromDays(3));
        await _bench.HoldAsync("new", "1.0.0");
        var (_, summary) = await _bench.VerifyAsync(new VerifyRequest { OlderThan = TimeSpan.FromDays(7) });
        Assert.Equal((1, 0, 0, 4), (summary.LogRows, summary.Documents, summary.Tarballs, summary.Skipped));

        // What was found right just that long ago is believed.
        _bench.Clock.Advance(TimeSpan.FromDays(4));
        (_, summary) = await _bench.VerifyAsync(new VerifyRequest { OlderThan = TimeSpan.FromDays(7) });
        Assert.Equal((0, 0), (summary.LogRows, summary.Documents));

        _bench.Clock.Advance(TimeSpan.FromDays(1));
        (_, summary) = await _bench.VerifyAsync(new VerifyRequest { OlderThan = TimeSpan.FromDays(7) });
        Assert.Equal((3, 3, 3, 1), (summary.LogRows, summary.Documents, summary.Tarballs, summary.Skipped));
    }

    [Claim("Verify finds missing and damaged data again, however lately it was right before (never-again 13)",
        Red = "a finding leaves the tarball's earlier stamp")]
    [Fact]
    public async Task A_missing_tarball_is_found_again_although_it_was_verified_lately()
    {
        await _bench.VerifyAsync();
        _bench.Clock.Advance(TimeSpan.FromMinutes(1));
        File.Delete(_bench.FileOf((await _bench.RowAsync("ms"))!.Sha512));
        Assert.Single((await _bench.VerifyAsync()).Findings);
        _bench.Clock.Advance(TimeSpan.FromMinutes(1));
        Assert.Single((await _bench.VerifyAsync(new VerifyRequest { OlderThan = TimeSpan.FromDays(7) })).Findings);
        Assert.Single((await _bench.VerifyAsync(new VerifyRequest { OlderThan = TimeSpan.FromDays(7) })).Findings);
    }

    [Fact]
    public async Task Goes_on_where_it_was_cut_short_and_repeats_its_findings()
    {
        File.Delete(_bench.FileOf((await _bench.RowAsync("ms"))!.Sha512));
        _bench.Tamper("UPDATE documents SET bytes = x'00' WHERE package = (SELECT id FROM packages WHERE name = 'ms')");
        using var cut = new CancellationTokenSource();
        var begunAt = _bench.Clock.GetUtcNow();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _bench.Verifier.RunAsync(new VerifyRequest { Found = _ => cut.Cancel() }, cut.Token));

        _bench.Clock.Advance(TimeSpan.FromMinutes(5));
        var (findings, summary) = await _bench.VerifyAsync();
        Assert.Equal((true, begunAt, 0), (summary.IsContinued, summary.BegunAt, summary.LogRows));
        Assert.Equal([VerifyFault.DocumentDamaged, VerifyFault.TarballMissing], findings.Select(finding => finding.Fault));
        Assert.False((await _bench.VerifyAsync()).Summary.IsContinued);
    }

    [Claim("A verification that is cut short skips no finding, and goes on after the last thousand packages that were right",
        With = [nameof(A_run_that_was_cut_short_goes_on_after_the_thousand_that_were_right)],
        Red = "`DocumentVerification` does not look at `isRight` before it keeps a mark: the first was red; no mark is kept: the second")]
    [Fact]
    public async Task A_run_that_was_cut_short_skips_no_finding()
    {
        await PutPackagesAsync(1_500);
        Damage("left-pad");
        Damage("n1400");
        await CutAfterAsync(findings: 2);
        Assert.Equal(["left-pad", "n1400"], (await _bench.VerifyAsync()).Findings.Select(finding => finding.Subject));
    }

    [Fact]
    public async Task A_run_that_was_cut_short_goes_on_after_the_thousand_that_were_right()
    {
        await PutPackagesAsync(1_500);
        Damage("n1400");
        await CutAfterAsync(findings: 1);
        var (findings, summary) = await _bench.VerifyAsync();
        Assert.Equal("n1400", Assert.Single(findings).Subject);

        // Of 1,502 the first thousand were believed, and the damaged one is not counted.
        Assert.Equal((true, 501), (summary.IsContinued, summary.Documents));
    }

    [Fact]
    public async Task The_believed_part_of_the_log_ends_at_a_row_that_is_still_there()
    {
        await _bench.VerifyAsync();
        _bench.Clock.Advance(TimeSpan.FromDays(1));
        _bench.Tamper("UPDATE log SET hash = zeroblob(32) WHERE position = 2");
        var finding = Assert.Single((await _bench.VerifyAsync(new VerifyRequest { OlderThan = TimeSpan.FromDays(7) })).Findings);
        Assert.Contains("not what the last verification noted", finding.Problem, StringComparison.Ordinal);

        // The next run finds the findings again, whatever it believes and whatever was written later.
        await _bench.HoldAsync("later", "1.0.0");
        Assert.NotEmpty((await _bench.VerifyAsync(new VerifyRequest { OlderThan = TimeSpan.FromDays(7) })).Findings);
        Assert.NotEmpty((await _bench.VerifyAsync(new VerifyRequest { OlderThan = TimeSpan.FromDays(7) })).Findings);
    }

    [Fact]
    public async Task A_tarball_that_is_wanted_and_not_held_is_fetched_where_it_mends()
    {
        _bench.Tamper("DELETE FROM tarballs WHERE package = 'ms'");
        Assert.True(Assert.Single((await _bench.VerifyAsync(new VerifyRequest { Repairs = _bench.Repairs })).Findings).IsRepaired);
        Assert.True(await _bench.IsStoredAsync((await _bench.RowAsync("ms"))!));
    }

    [Fact]
    public async Task A_head_that_was_noted_has_the_whole_log_looked_at()
    {
        var head = (await _bench.VerifyAsync()).Summary.Head;
        _bench.Clock.Advance(TimeSpan.FromDays(1));
        Assert.Equal(0, (await _bench.VerifyAsync(new VerifyRequest { OlderThan = TimeSpan.FromDays(7) })).Summary.LogRows);
        Assert.Equal(2, (await _bench.VerifyAsync(new VerifyRequest { OlderThan = TimeSpan.FromDays(7), NotedHead = head })).Summary.LogRows);
    }

    [Theory]
    [InlineData(6, true)]
    [InlineData(8, false)]
    public async Task A_run_that_was_cut_short_is_gone_on_with_for_a_week(int daysLater, bool isContinued)
    {
        File.Delete(_bench.FileOf((await _bench.RowAsync("ms"))!.Sha512));
        using var cut = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _bench.Verifier.RunAsync(new VerifyRequest { Found = _ => cut.Cancel() }, cut.Token));
        _bench.Clock.Advance(TimeSpan.FromDays(daysLater));
        Assert.Equal(isContinued, (await _bench.VerifyAsync()).Summary.IsContinued);
    }

    [Fact]
    public async Task A_tarball_that_gc_takes_while_it_is_looked_at_is_no_finding()
    {
        HookedBlobs? blobs = null;
        await using var bench = await MaintenanceBench.StartAsync(wrapBlobs: inner => blobs = new HookedBlobs(inner));
        await bench.HoldAsync("ms", "1.0.0");
        bench.Clock.Advance(TimeSpan.FromHours(1));
        var row = (await bench.RowAsync("ms"))!;
        blobs!.BeforeOpen = async token =>
        {
            Assert.True(await bench.Store.Tarballs.ForgetTarballAsync(row, token));
            File.Delete(bench.FileOf(row.Sha512));
        };
        Assert.Empty((await bench.VerifyAsync()).Findings);
    }

    [Fact]
    public async Task A_tarball_that_cannot_be_read_is_a_finding_and_ends_no_run()
    {
        HookedBlobs? blobs = null;
        await using var bench = await MaintenanceBench.StartAsync(wrapBlobs: inner => blobs = new HookedBlobs(inner));
        await bench.HoldAsync("a", "1.0.0");
        await bench.HoldAsync("b", "1.0.0");
        bench.Clock.Advance(TimeSpan.FromHours(1));
        var opened = 0;
        blobs!.BeforeOpen = _ => Interlocked.Increment(ref opened) == 1 ? throw new MirrorException(MirrorFault.StoreUnavailable, "The disk has a bad block.") : ValueTask.CompletedTask;
        var (findings, summary) = await bench.VerifyAsync();
        Assert.Equal((VerifyFault.TarballDamaged, "The disk has a bad block.", 2), (Assert.Single(findings).Fault, findings[0].Problem, summary.Tarballs));
    }

    [Claim("Verify finishes on a store that cannot be written, with a tarball that cannot be read, and beside a `gc` that deletes what it checks",
        With = [nameof(A_tarball_that_cannot_be_read_is_a_finding_and_ends_no_run), nameof(A_tarball_that_gc_takes_while_it_is_looked_at_is_no_finding)],
        Red = "one of the three filters for `StoreReadOnly` is gone")]
    [Fact]
    public async Task A_store_that_cannot_be_written_is_verified()
    {
        var isReadOnly = false;
        await using var bench = await MaintenanceBench.StartAsync(wrapStore: store => FailingStore.ReadOnly(store, () => isReadOnly));
        await bench.HoldAsync("ms", "1.0.0");
        await bench.HoldAsync("left-pad", "1.0.0");
        bench.Clock.Advance(TimeSpan.FromHours(1));
        File.Delete(bench.FileOf((await bench.RowAsync("ms"))!.Sha512));
        isReadOnly = true;
        var (findings, summary) = await bench.VerifyAsync();
        Assert.Equal((VerifyFault.TarballMissing, 2, 2, 2), (Assert.Single(findings).Fault, summary.LogRows, summary.Documents, summary.Tarballs));
    }

    [Claim("One verify and one gc at a time; a dead one's lease ends (never-again 19)",
        With = [$"{nameof(GarbageCollectorTests)}.{nameof(GarbageCollectorTests.One_at_a_time_but_anyone_may_look)}"],
        Red = "`MaintenanceLease.TakeAsync` goes on without the lease: both were red; a lease has no end: the first; a dry run takes it: the last")]
    [Fact]
    public async Task One_at_a_time()
    {
        Assert.True(await _bench.Store.Leases.TryHoldLeaseAsync("verify", "another", TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken));
        var refused = await Assert.ThrowsAsync<MirrorException>(() => _bench.VerifyAsync());
        Assert.Contains("Another npm-mirror verify works on", refused.Message, StringComparison.Ordinal);
        _bench.Clock.Advance(TimeSpan.FromMinutes(2));
        await _bench.VerifyAsync();
    }

    /// <summary>Puts packages n0001, n0002, … after the others.</summary>
    private async Task PutPackagesAsync(int count)
    {
        // Their tarballs are not held, and are no findings so.
        _bench.Options.Tarballs = TarballMode.OnDemand;
        await Parallel.ForEachAsync(Enumerable.Range(1, count), TestContext.Current.CancellationToken, async (n, token) =>
        {
            var name = PackageName.Parse($"n{n:D4}");
            var bytes = System.Text.Encoding.UTF8.GetBytes($"{{\"name\":\"{name}\",\"versions\":{{}}}}");
            var commit = new PackageCommit
            {
                Name = name,
                ExpectedGeneration = 0,
                Facts = new PackageFacts { FirstSeenAt = _bench.Clock.GetUtcNow(), StoredAt = _bench.Clock.GetUtcNow() },
                Document = DocumentCodecs.Encode(bytes, Digest.OfSha256(bytes)),
                Index = PackumentReader.Read(bytes, name).Index.ToBytes(),
                Events = [],
            };
            Assert.True((await _bench.Store.Packages.CommitAsync(commit, token)).IsCommitted);
        });
    }

    private void Damage(string name) => _bench.Tamper($"UPDATE documents SET bytes = x'00' WHERE package = (SELECT id FROM packages WHERE name = '{name}')");

    private async Task CutAfterAsync(int findings)
    {
        using var cut = new CancellationTokenSource();
        var found = 0;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _bench.Verifier.RunAsync(
            new VerifyRequest
            {
                Found = _ =>
                {
                    if (++found == findings)
                    {
                        cut.Cancel();
                    }
                },
            },
            cut.Token));
    }

    /// <summary>Holds a version that no hash is promised for; returns the hash of its bytes.</summary>
    private async Task<Digest> HoldUnpromisedAsync(string name)
    {
        _bench.Upstream.Publish(new NpmMirror.Testing.FakePackage(name).Version("1.0.0", version => (version.HasIntegrity, version.HasShasum) = (false, false)));
        await _bench.SyncAsync(name);
        _bench.Clock.Advance(TimeSpan.FromHours(1));
        return (await _bench.RowAsync(name))!.Sha512;
    }
}
