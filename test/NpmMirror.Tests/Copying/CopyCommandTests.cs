using System.Globalization;
using System.Text.Json;
using Microsoft.Data.Sqlite;
using NpmMirror.Sqlite;
using NpmMirror.Storage;
using NpmMirror.Testing;
using NpmMirror.Tests.Cli;
using NpmMirror.Tests.Postgres;
using NpmMirror.Tests.Sqlite;

namespace NpmMirror.Tests.Copying;

/// <summary><c>npm-mirror copy</c>, as users run it.</summary>
[Trait("Duration", "long")]
public sealed class CopyCommandTests(SharedPostgres postgres) : IAsyncLifetime
{
    private readonly TestFolder _folder = new();
    private FakeRegistry _upstream = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _upstream = await FakeRegistry.StartAsync();
        _upstream.Publish(new FakePackage("ms").Version("2.1.3"));
        _upstream.Publish(new FakePackage("@scope/one").Version("1.0.0"));
    }

    public async ValueTask DisposeAsync()
    {
        await _upstream.DisposeAsync();
        _folder.Dispose();
    }

    [Claim("`npm-mirror copy` moves a mirror from a folder to a PostgreSQL server and a bucket, and on to another folder, which serves the same bytes without the upstream",
        With = [nameof(A_mistake_costs_one_sentence_and_makes_nothing)])]
    [Fact]
    public async Task A_mirror_moves_to_a_server_and_a_bucket_and_on()
    {
        await using var bucket = await FakeS3.StartAsync(cancellationToken: Token);
        string[] blobOptions = [$"endpoint={bucket.Url}", $"accessKey={bucket.AccessKey}", $"secretKey={bucket.SecretKey}", "cacheBytes=0"];
        var server = (await postgres.GetAsync()).Location(PostgresServer.NewSchema());
        await SyncAsync("ms", "@scope/one");

        var (code, output, errors) = await RunAsync(["copy", "--from", "data", "--to", server, "--blobs-to", $"s3://{bucket.Bucket}/npm", "--json", .. blobOptions.SelectMany(option => (string[])["--blobs-to-option", option])]);
        Assert.True(code == 0, errors + output);
        Assert.DoesNotContain(Uri.EscapeDataString(PostgresServer.Password), output + errors, StringComparison.Ordinal);
        using var report = JsonDocument.Parse(output);
        var summary = report.RootElement.GetProperty("summary");
        Assert.Equal((true, 2, 2), (summary.GetProperty("isFinished").GetBoolean(), summary.GetProperty("counts").GetProperty("packages").GetInt32(), summary.GetProperty("copied").GetProperty("tarballs").GetInt32()));
        Assert.Equal(2, bucket.Objects.Count);

        (code, output, errors) = await CliProcess.RunAsync(
            _folder.Path,
            ["copy", "--from=env:OLD_PLACE", "--to=moved", $"--blobs-from=s3://{bucket.Bucket}/npm", .. blobOptions.SelectMany(option => (string[])["--blobs-from-option", option])],
            ("OLD_PLACE", server));
        Assert.True(code == 0, errors + output);
        Assert.Contains("Source and copy are equal: 2 packages, 0 removed, 2 tarballs, 0 queued; the log's head is 2:", output, StringComparison.Ordinal);
        Assert.Contains("2 tarballs", (await RunAsync(["verify", "--data=moved"])).Output, StringComparison.Ordinal);

        // A bucket of the same name at another server is another place.
        await using var other = await FakeS3.StartAsync(cancellationToken: Token);
        string[] otherOptions = [$"endpoint={other.Url}", .. blobOptions[1..]];
        string[] blobs = ["--blobs-from", $"s3://{bucket.Bucket}/npm", "--blobs-to", $"s3://{other.Bucket}/npm", .. blobOptions.SelectMany(option => (string[])["--blobs-from-option", option]), .. otherOptions.SelectMany(option => (string[])["--blobs-to-option", option])];
        (code, output, errors) = await RunAsync(["copy", "--from", server, "--to", "sqlite:elsewhere", .. blobs]);
        Assert.True(code == 0, errors + output);
        Assert.Equal(bucket.Objects.Keys.Order(StringComparer.Ordinal), other.Objects.Keys.Order(StringComparer.Ordinal));

        var bytes = _upstream.Tarballs["/ms/-/ms-2.1.3.tgz"];
        _upstream.Knobs.Fail("*", 500);
        await using var serve = CliProcess.Start(_folder.Path, ["serve", "--data=moved", "--offline", "--listen=http://127.0.0.1:0"]);
        using var client = new HttpClient { BaseAddress = new Uri((await serve.WaitForOutputAsync("Serving ")).Split(' ')[1]) };
        Assert.Contains("2.1.3", await client.GetStringAsync("ms", Token), StringComparison.Ordinal);
        Assert.Equal(bytes, await client.GetByteArrayAsync("ms/-/ms-2.1.3.tgz", Token));
    }

    [Claim("`copy` again brings what is new, and beside a running `serve`; while a mirror works in the target, it is refused",
        Red = "`CopyCommand` takes no lock of the target's folder")]
    [Fact]
    public async Task A_copy_is_brought_up_to_date_while_the_mirror_serves()
    {
        await SyncAsync("ms");

        // Either process may take what sync queues.
        await using (var serve = CliProcess.Start(_folder.Path, ["serve", "--data=data", $"--upstream={_upstream.Url}", "--feed=none", "--tarballs=eager", "--listen=http://127.0.0.1:0"]))
        {
            await serve.WaitForOutputAsync("Serving ");
            var first = await RunAsync(["copy", "--from=data", "--to=copy"]);
            Assert.True(first.Code == 0, first.Errors + first.Output);
            Assert.StartsWith("Copied sqlite:", first.Output, StringComparison.Ordinal);
            await SyncAsync("@scope/one");
            var second = await RunAsync(["copy", "--from=data", "--to=copy"]);
            Assert.True(second.Code == 0, second.Errors + second.Output);
            Assert.StartsWith("Went on with the copy of sqlite:", second.Output, StringComparison.Ordinal);
            Assert.Contains("1 packages, 1 log rows", second.Output, StringComparison.Ordinal);
            Assert.Contains("2 packages, 0 removed, 2 tarballs", second.Output, StringComparison.Ordinal);
        }

        await using var other = CliProcess.Start(_folder.Path, ["serve", "--data=copy", "--offline", "--listen=http://127.0.0.1:0"]);
        await other.WaitForOutputAsync("Serving ");
        var (code, _, errors) = await RunAsync(["copy", "--from=data", "--to=copy"]);
        Assert.Equal(3, code);
        Assert.Contains("Another npm-mirror serves or follows with the folder", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_mistake_costs_one_sentence_and_makes_nothing()
    {
        await SyncAsync("ms");
        (string[] Arguments, int Code, string Sentence)[] mistakes =
        [
            (["--from=data"], 2, "--to"),
            (["--from=nothing", "--to=copy"], 3, "There is no mirror in"),
            (["--from=data", "--to=data"], 2, "The mirror itself lives in"),
            (["--from=data", "--to=sqlite:data"], 2, "The mirror itself lives in"),
            (["--from=data", "--to", ""], 2, "is empty"),
            (["--from=data", "--to=env:NO_SUCH_PLACE"], 2, "There is no environment variable “NO_SUCH_PLACE”"),
            (["--from=data", "--to=nonesuch:copy"], 2, "There is no store engine"),
            (["--from=data", "--to=memory:", "--to-option=layout"], 2, "has no value"),
            (["--from=sqlite:data", "--to=copy", "--blobs-to=files:elsewhere"], 2, "--blobs-from"),
        ];
        foreach (var (arguments, expected, sentence) in mistakes)
        {
            var (code, output, errors) = await RunAsync(["copy", .. arguments]);
            Assert.True(code == expected, $"{string.Join(' ', arguments)}: {code}\n{errors}");
            Assert.Contains(sentence, errors, StringComparison.Ordinal);
            Assert.Empty(output);
        }

        Assert.Equal(["data"], Directory.EnumerateDirectories(_folder.Path).Select(Path.GetFileName));

        // Without the place of the tarballs their rows are copied, and that is said.
        var (done, told, _) = await RunAsync(["copy", "--from=sqlite:data", "--to=copy"]);
        Assert.Equal(0, done);
        Assert.Contains("The bytes of tarballs were not copied, only their rows", told, StringComparison.Ordinal);
    }

    [Claim("A copy that is killed, at any time, is gone on with by the next run")]
    [Fact]
    public async Task A_copy_that_is_killed_is_gone_on_with()
    {
        const int Packages = 1000;
        await using var source = new SqliteStore(_folder.File($"data/{SqliteEngine.FileName}"), TimeProvider.System);
        await source.OpenAsync(Token);
        await Task.WhenAll(Enumerable.Range(0, Packages).Select(i => source.Packages.CommitAsync(SecondProcess.Commit(string.Create(CultureInfo.InvariantCulture, $"p{i:D5}")) with { IsPatient = true }, Token).AsTask()));
        await source.Tarballs.RecordAccessAsync([.. Enumerable.Range(0, Packages).Select(i => new TarballAccess(PackageName.Parse(string.Create(CultureInfo.InvariantCulture, $"p{i:D5}")), "p-1.0.0.tgz", "npm", new DateOnly(2026, 1, 1), 2))], Token);
        var expected = await StoreDump.OfAsync(source);
        long[][] places = [[1, 0], [Packages / 2, 0], [Packages, 1], [Packages, Packages]];
        foreach (var place in places)
        {
            var copy = $"copy-{place[0]}-{place[1]}";
            await using (var process = CliProcess.Start(_folder.Path, ["copy", "--from=data", $"--to={copy}"]))
            {
                await Eventually.Async(async () => process.HasExited || await IsAtAsync(copy, place));
                await process.SignalAsync("KILL");
                await process.WaitForExitAsync();
            }

            Tamper(copy, "DELETE FROM leases");
            var (code, output, errors) = await RunAsync(["copy", "--from=data", $"--to={copy}"]);
            Assert.True(code == 0, errors + output);
            Assert.StartsWith("Went on with the copy of", output, StringComparison.Ordinal);
            await using var target = new SqliteStore(_folder.File($"{copy}/{SqliteEngine.FileName}"), TimeProvider.System);
            await target.OpenAsync(Token);
            Assert.Equal(expected, await StoreDump.OfAsync(target));
        }
    }

    private async Task<bool> IsAtAsync(string copy, long[] place)
    {
        if (!File.Exists(_folder.File($"{copy}/{SqliteEngine.FileName}")))
        {
            return false;
        }

        await using var connection = new SqliteConnection($"Data Source={_folder.File($"{copy}/{SqliteEngine.FileName}")};Pooling=False;Mode=ReadWrite");
        try
        {
            connection.Open();
            await using var command = connection.CreateCommand();
            command.CommandText = "SELECT (SELECT count(*) FROM packages), (SELECT count(*) FROM log)";
            await using var reader = await command.ExecuteReaderAsync(Token);
            return await reader.ReadAsync(Token) && reader.GetInt64(0) >= place[0] && reader.GetInt64(1) >= place[1];
        }
        catch (SqliteException)
        {
            // Its tables are not there yet.
            return false;
        }
    }

    private void Tamper(string copy, string sql)
    {
        using var connection = new SqliteConnection($"Data Source={_folder.File($"{copy}/{SqliteEngine.FileName}")};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
#pragma warning disable CA2100 // The test's own text.
        command.CommandText = sql;
#pragma warning restore CA2100
        command.ExecuteNonQuery();
    }

    private async Task SyncAsync(params string[] packages)
    {
        var (code, _, errors) = await RunAsync(["sync", "--data=data", $"--upstream={_upstream.Url}", "--feed=none", "--tarballs=eager", .. packages]);
        Assert.True(code == 0, errors);
    }

    private Task<(int Code, string Output, string Errors)> RunAsync(string[] arguments) => CliProcess.RunAsync(_folder.Path, arguments);
}
