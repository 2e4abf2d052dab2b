using System.Collections.Concurrent;
using NpmMirror.Storage;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>A store that counts its calls, and can hold an answer back.</summary>
internal sealed class CountedStore
{
    private readonly IMetadataStore _store;

    private CountedStore(IMetadataStore store) => _store = store;

    /// <summary>How often each method was called.</summary>
    public ConcurrentDictionary<string, int> Calls { get; } = new();

    /// <summary>Awaited before a document is read, with the name of the package.</summary>
    public Func<PackageName, Task>? BeforeRead { get; set; }

    /// <summary>Thrown instead of answering, while set.</summary>
    public Exception? Trouble { get; set; }

    /// <summary>Thrown instead of reading the log, while set.</summary>
    public Exception? LogTrouble { get; set; }

    /// <summary>Thrown after the first row of a listing, while set.</summary>
    public Exception? ListTrouble { get; set; }

    /// <summary>Thrown instead of setting a cursor, while set.</summary>
    public Exception? CursorTrouble { get; set; }

    /// <summary>Calls of a method so far.</summary>
    public int CountOf(string method) => Calls.GetValueOrDefault(method);

    /// <summary>Wraps a store.</summary>
    public static (IMetadataStore Store, CountedStore Counts) Over(IMetadataStore store)
    {
        var counts = new CountedStore(store);
        return (InterceptedStore.Over(store, counts.Handle), counts);
    }

    private object? Handle(StoreCall call)
    {
        Calls.AddOrUpdate(call.Method, 1, (_, count) => count + 1);
        if (Trouble is not null && call.Method is (nameof(IPackageTable.FindAsync) or nameof(IPackageTable.ReadAsync) or nameof(IMetadataStore.CheckWritableAsync)))
        {
            throw Trouble;
        }

        if (LogTrouble is { } trouble && call.Method is (nameof(ILogTable.ReadHeadAsync) or nameof(ILogTable.WaitForLogAsync)))
        {
            throw trouble;
        }

        if (CursorTrouble is not null && call.Method == nameof(INoteTable.SetNoteAsync))
        {
            throw CursorTrouble;
        }

        return (call.Method, call.Arguments) switch
        {
            (nameof(IPackageTable.ListMarksAsync), _) when ListTrouble is not null => FirstOfAsync((IAsyncEnumerable<PackageMark>)call.Make()!),
            (nameof(IPackageTable.ReadAsync), [PackageName name, CancellationToken token]) when BeforeRead is not null => new ValueTask<StoredPackage?>(ReadAsync(name, token)),
            _ => call.Make(),
        };
    }

    private async IAsyncEnumerable<PackageMark> FirstOfAsync(IAsyncEnumerable<PackageMark> marks)
    {
        await foreach (var mark in marks)
        {
            yield return mark;
            throw ListTrouble!;
        }
    }

    private async Task<StoredPackage?> ReadAsync(PackageName name, CancellationToken cancellationToken)
    {
        // The document is read first: the held answer is from before.
        var read = await _store.Packages.ReadAsync(name, cancellationToken);
        await BeforeRead!(name);
        return read;
    }
}
