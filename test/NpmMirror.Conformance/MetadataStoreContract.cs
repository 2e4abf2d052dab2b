using System.Globalization;
using System.Text;
using NpmMirror.Log;
using NpmMirror.Storage;
using Xunit;

namespace NpmMirror.Conformance;

/// <summary>
/// The contract of every <see cref="IMetadataStore"/>, as tests. Derive from it, say how a store is made, and your engine has its suite; an
/// engine whose stores outlive the process derives <see cref="PersistentMetadataStoreContract"/>.
/// </summary>
public abstract partial class MetadataStoreContract : IAsyncLifetime
{
    private readonly List<IMetadataStore> _opened = [];

    /// <summary>The store under test, open and empty.</summary>
    protected IMetadataStore Store { get; private set; } = null!;

    /// <summary>The store's clock.</summary>
    protected ContractClock Clock { get; } = new();

    /// <summary>Ends with the test.</summary>
    protected static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>Makes a store, not opened, on a place of this test's own, empty at first. Called again: another on the same place, where the engine has places.</summary>
    protected abstract IMetadataStore Create(TimeProvider timeProvider);

    /// <inheritdoc/>
    public async ValueTask InitializeAsync() => Store = await OpenAnotherAsync();

    /// <inheritdoc/>
    public virtual async ValueTask DisposeAsync()
    {
        foreach (var store in _opened)
        {
            await store.DisposeAsync();
        }

        GC.SuppressFinalize(this);
    }

    /// <summary>Opens one more store on the test's place.</summary>
    protected async Task<IMetadataStore> OpenAnotherAsync()
    {
        var store = Create(Clock);
        _opened.Add(store);
        await store.OpenAsync(Cancellation);
        return store;
    }

    /// <summary>A package's name.</summary>
    protected static PackageName Name(string name) => PackageName.Parse(name);

    /// <summary>A stored document of this text.</summary>
    protected static StoredDocument Document(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        return new StoredDocument(DocumentCodec.Identity, bytes, bytes.Length, Digest.OfSha256(bytes));
    }

    /// <summary>An event with this payload.</summary>
    protected PendingEvent Event(int ordinal, string payload = "{}", string type = nameof(VersionPublished)) => new()
    {
        Ordinal = ordinal,
        Type = type,
        SeenAt = Clock.GetUtcNow(),
        Payload = Encoding.UTF8.GetBytes(payload),
    };

    /// <summary>Facts of a package that is there.</summary>
    protected PackageFacts Facts() => new() { FirstSeenAt = Clock.GetUtcNow(), StoredAt = Clock.GetUtcNow() };

    /// <summary>A commit of a document with some events.</summary>
    protected PackageCommit NewCommit(string name, long expectedGeneration, string? document, int events = 1) => new()
    {
        Name = Name(name),
        ExpectedGeneration = expectedGeneration,
        Facts = Facts(),
        Document = document is null ? null : Document(document),
        Index = Encoding.UTF8.GetBytes("index of " + document),
        Events = [.. Enumerable.Range(0, events).Select(ordinal => Event(ordinal, ordinal.ToString(CultureInfo.InvariantCulture)))],
    };

    /// <summary>Commits, and gives the events their numbers.</summary>
    protected async Task<CommitResult> CommitAsync(string name, long expectedGeneration, string? document, int events = 1)
    {
        var result = await Store.Packages.CommitAsync(NewCommit(name, expectedGeneration, document, events), Cancellation);
        await NumberAsync(Store);
        return result;
    }

    /// <summary>Numbers all that waits, for engines that do it later.</summary>
    protected static async Task NumberAsync(IMetadataStore store)
    {
        while (await store.Log.NumberEventsAsync(Cancellation) > 0)
        {
            // More may have come.
        }
    }

    /// <summary>A stored document's text.</summary>
    protected static string Text(StoredDocument document) => Encoding.UTF8.GetString(document.Bytes.Span);

    /// <summary>All of a listing.</summary>
    protected static async Task<List<T>> AllAsync<T>(IAsyncEnumerable<T> listing)
    {
        var all = new List<T>();
        await foreach (var item in listing)
        {
            all.Add(item);
        }

        return all;
    }

    /// <summary>The names of a listing of rows.</summary>
    protected static async Task<string[]> NamesAsync(IAsyncEnumerable<PackageRow> listing) => [.. (await AllAsync(listing)).Select(row => row.Name.Value)];
}
