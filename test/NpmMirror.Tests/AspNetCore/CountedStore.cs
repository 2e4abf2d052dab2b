using System.Collections.Concurrent;
using System.Reflection;
using NpmMirror.Storage;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>A store that counts what it is asked, and can hold an answer back.</summary>
public class CountedStore : DispatchProxy
{
    private IMetadataStore? _store;

    /// <summary>How often each method was called.</summary>
    public ConcurrentDictionary<string, int> Calls { get; } = new();

    /// <summary>Awaited before a document is read, with the name of the package.</summary>
    public Func<PackageName, Task>? BeforeRead { get; set; }

    /// <summary>Thrown instead of answering, while set.</summary>
    public Exception? Trouble { get; set; }

    /// <summary>Thrown instead of reading the log, while set.</summary>
    public Exception? LogTrouble { get; set; }

    /// <summary>Thrown behind the first row of a listing, while set.</summary>
    public Exception? ListTrouble { get; set; }

    /// <summary>Thrown instead of setting a cursor, while set.</summary>
    public Exception? CursorTrouble { get; set; }

    /// <summary>Calls of a method so far.</summary>
    public int CountOf(string method) => Calls.GetValueOrDefault(method);

    /// <summary>Wraps a store.</summary>
    public static (IMetadataStore Store, CountedStore Counts) Over(IMetadataStore store)
    {
        var proxy = Create<IMetadataStore, CountedStore>();
        var counts = (CountedStore)(object)proxy;
        counts._store = store;
        return (proxy, counts);
    }

    protected override object? Invoke(MethodInfo? targetMethod, object?[]? args)
    {
        Calls.AddOrUpdate(targetMethod!.Name, 1, (_, count) => count + 1);
        if (Trouble is not null && targetMethod.Name is ("FindAsync" or "ReadAsync" or "CheckWritableAsync"))
        {
            throw Trouble;
        }

        if (LogTrouble is { } trouble && targetMethod.Name is ("ReadHeadAsync" or "WaitForLogAsync"))
        {
            throw trouble;
        }

        if (CursorTrouble is not null && targetMethod.Name == "SetCursorAsync")
        {
            throw CursorTrouble;
        }

        if (ListTrouble is not null && targetMethod.Name == "ListMarksAsync")
        {
            return FirstOfAsync((IAsyncEnumerable<PackageMark>)targetMethod.Invoke(_store, BindingFlags.DoNotWrapExceptions, null, args, null)!);
        }

        return targetMethod.Name == "ReadAsync" && BeforeRead is not null
            ? new ValueTask<StoredPackage?>(ReadAsync((PackageName)args![0]!, (CancellationToken)args[1]!))
            : targetMethod.Invoke(_store, BindingFlags.DoNotWrapExceptions, null, args, null);
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
        // The document is read first: what is held back is an answer from before.
        var read = await _store!.ReadAsync(name, cancellationToken);
        await BeforeRead!(name);
        return read;
    }
}
