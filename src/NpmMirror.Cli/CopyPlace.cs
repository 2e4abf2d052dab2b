using NpmMirror.Options;
using NpmMirror.Storage;

namespace NpmMirror.Cli;

/// <summary>One end of a copy, as it was named: a store and, where they are known, the tarballs' bytes.</summary>
internal sealed class CopyPlace
{
    // So that a password need not be on the command line, which every user of the machine can read.
    private const string Variable = "env:";

    private readonly StoreOptions _store;
    private readonly string _data;

    private CopyPlace(StoreOptions store, string data, bool hasBlobs) => (_store, _data, HasBlobs) = (store, data, hasBlobs);

    /// <summary>Whether it is known where the tarballs' bytes are.</summary>
    internal bool HasBlobs { get; }

    /// <summary>The files of an embedded engine; null for others.</summary>
    internal StorePlace? Files => Setup.Engines.Locate(_store, _data);

    /// <summary>Reads an end.</summary>
    /// <param name="location">A folder, or what <c>store.engine</c> takes, or <c>env:</c> and the name of the variable that has it.</param>
    /// <param name="blobs">What <c>store.blobs</c> takes; null: the files in the folder.</param>
    /// <param name="options">The engine's options, as <c>name=value</c>.</param>
    /// <param name="blobOptions">The options of the place for tarballs.</param>
    /// <param name="data">Where temporary files go, if the location is no folder.</param>
    /// <exception cref="MirrorException">It is no location.</exception>
    internal static CopyPlace Parse(string location, string? blobs, IEnumerable<string> options, IEnumerable<string> blobOptions, string data)
    {
        if (location.StartsWith(Variable, StringComparison.Ordinal))
        {
            location = Environment.GetEnvironmentVariable(location[Variable.Length..]) ?? throw new MirrorException(MirrorFault.BadInput, $"There is no environment variable {MirrorException.Quote(location[Variable.Length..])}, which a location of the copy names.");
        }

        if (string.IsNullOrWhiteSpace(location))
        {
            throw new MirrorException(MirrorFault.BadInput, "A location of the copy is empty; name a folder, or a store as in store.engine.");
        }

        // One letter before a colon is a drive.
        var isFolder = location.IndexOf(':', StringComparison.Ordinal) < 2;
        var store = isFolder ? new StoreOptions() : new StoreOptions { Engine = location };
        store.Blobs = blobs ?? store.Blobs;
        Fill(store.Options, options);
        Fill(store.BlobOptions, blobOptions);
        return new CopyPlace(store, isFolder ? Path.GetFullPath(location) : data, isFolder || blobs is not null);
    }

    /// <summary>The store, not opened yet.</summary>
    internal IMetadataStore CreateStore(ILoggerFactory logging) => Setup.Engines.Create(_store, _data, TimeProvider.System, logging);

    /// <summary>The place of the tarballs' bytes.</summary>
    internal IBlobStore CreateBlobs(ILoggerFactory logging) => Setup.BlobPlaces.Create(_store, _data, TimeProvider.System, logging);

    /// <summary>Whether both have the same options for tarballs. A bucket's name alone does not tell whether it is one place: it may be there at two servers.</summary>
    internal bool HasSameBlobOptionsAs(CopyPlace other) =>
        _store.BlobOptions.Count == other._store.BlobOptions.Count && _store.BlobOptions.All(option => other._store.BlobOptions.TryGetValue(option.Key, out var value) && value == option.Value);

    private static void Fill(IDictionary<string, string> target, IEnumerable<string> options)
    {
        foreach (var option in options)
        {
            var equals = option.IndexOf('=', StringComparison.Ordinal);
            target[equals > 0 ? option[..equals] : throw new MirrorException(MirrorFault.BadInput, $"The option {MirrorException.Quote(equals < 0 ? option : "")} has no value; write name=value.")] = option[(equals + 1)..];
        }
    }
}
