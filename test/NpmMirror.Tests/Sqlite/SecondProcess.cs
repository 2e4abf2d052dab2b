using System.Diagnostics;
using System.Globalization;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Cli;
using NpmMirror.Log;
using NpmMirror.Options;
using NpmMirror.Sqlite;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Sqlite;

/// <summary>This test program once more, running one explicit test of this class: a second process that writes the same database, a file of SQLite or the location of a server.</summary>
public sealed class SecondProcess
{
    private const string FileVariable = "NPM_MIRROR_TEST_SQLITE_FILE";
    private const string Mark = "told ";
    private const int Writers = 8;

    /// <summary>How many packages <see cref="Commits_one_by_one"/> commits.</summary>
    internal const int OneByOne = 40;

    [Fact(Explicit = true)]
    public async Task Commits_for_ever()
    {
        await using var store = await OpenAsync();
        await Task.WhenAll(Enumerable.Range(0, Writers).Select(writer => Task.Run(async () =>
        {
            for (var i = 0; ; i++)
            {
                var name = string.Create(CultureInfo.InvariantCulture, $"p{writer}-{i}");
                await store.Packages.CommitAsync(Commit(name), CancellationToken.None);
                Console.WriteLine(Mark + name);
            }
        })));
    }

    [Fact(Explicit = true)]
    public async Task Commits_one_by_one()
    {
        await using var store = await OpenAsync();
        var now = TimeProvider.System.GetUtcNow();
        var items = Enumerable.Range(0, OneByOne).Select(i => new QueueItem { Name = PackageName.Parse($"p{i}"), Priority = QueuePriority.Bulk, DueAt = now, QueuedAt = now });
        await store.Queue.EnqueueAsync([.. items], null, CancellationToken.None);
        for (var i = 0; i < OneByOne; i++)
        {
            // As a sync does it: the queue's notes in between are written without a sync, and half of the commits wait for others.
            var lease = (await store.Queue.TakeAsync(1, TimeSpan.FromMinutes(1), CancellationToken.None)).Single();
            await store.Packages.CommitAsync(Commit($"p{i}") with { IsPatient = i % 2 == 1 }, CancellationToken.None);
            Console.WriteLine($"{Mark}p{i}");
            await store.Queue.CompleteAsync(lease, null, CancellationToken.None);
        }
    }

    [Fact(Explicit = true)]
    public async Task Enqueues_a_page()
    {
        await using var store = await OpenAsync();
        var now = TimeProvider.System.GetUtcNow();
        var items = Enumerable.Range(0, 2500).Select(i => new QueueItem { Name = PackageName.Parse($"p{i}"), Priority = QueuePriority.Change, DueAt = now, QueuedAt = now });
        await store.Queue.EnqueueAsync([.. items], new QueueCursor("read", "2500"), CancellationToken.None);
    }

    [Fact(Explicit = true)]
    public async Task Starts_a_child_and_waits()
    {
        // A child below a child, and one whose environment is made anew.
        using var shell = Process.Start("sh", ["-c", "sleep 900 & echo \"" + Mark + "$!\"; wait"]);
        using var child = TestProcess.Start(["sleep", "900"], "/", new Dictionary<string, string> { ["PATH"] = Environment.GetEnvironmentVariable("PATH")! });
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Mark}{child.Id}"));
        await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, CancellationToken.None);
    }

    [Fact(Explicit = true)]
    public async Task Waits_for_ever() => await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, CancellationToken.None);

    /// <summary>Starts the process on one of the tests above; <paramref name="below"/> is a program that runs it.</summary>
    internal static Process Start(string test, string file, string? crashAt = null, params string[] below) => StartWith(test, file, new Dictionary<string, string?> { ["NPM_MIRROR_CRASH_AT"] = crashAt }, below);

    /// <summary>The same with other variables of its environment.</summary>
    internal static Process StartWith(string test, string file, IReadOnlyDictionary<string, string?> environment, params string[] below)
    {
        string[] command = [.. below, "dotnet", typeof(SecondProcess).Assembly.Location, "-explicit", "only", "-method", $"{typeof(SecondProcess).FullName}.{test}"];
        var start = new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true, UseShellExecute = false };
        start.Environment[FileVariable] = file;
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        return Process.Start(start)!;
    }

    /// <summary>The next package that the process says is committed; null at its end.</summary>
    internal static async Task<string?> ReadToldAsync(Process process)
    {
        string? line;
        do
        {
            line = await process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken);
        }
        while (line?.StartsWith(Mark, StringComparison.Ordinal) == false);

        return line?[Mark.Length..];
    }

    /// <summary>The commit of a package with three events.</summary>
    internal static PackageCommit Commit(string name) => new()
    {
        Name = PackageName.Parse(name),
        ExpectedGeneration = 0,
        Facts = new PackageFacts { FirstSeenAt = TimeProvider.System.GetUtcNow(), StoredAt = TimeProvider.System.GetUtcNow() },
        Document = DocumentCodecs.Encode(Encoding.UTF8.GetBytes($"document of {name}")),
        Index = Encoding.UTF8.GetBytes($"index of {name}"),
        Events = [.. Enumerable.Range(0, 3).Select(ordinal => new PendingEvent { Ordinal = ordinal, Type = "Test", SeenAt = TimeProvider.System.GetUtcNow(), Payload = new byte[] { (byte)ordinal } })],
    };

    private static async Task<IMetadataStore> OpenAsync()
    {
        var place = Environment.GetEnvironmentVariable(FileVariable)!;
        var store = place.Contains("://", StringComparison.Ordinal)
            ? Setup.Engines.Create(new StoreOptions { Engine = place }, "/nowhere", TimeProvider.System, NullLoggerFactory.Instance)
            : new SqliteStore(place, TimeProvider.System);
        await store.OpenAsync(CancellationToken.None);
        return store;
    }
}
