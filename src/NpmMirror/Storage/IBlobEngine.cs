namespace NpmMirror.Storage;

/// <summary>A kind of place for tarballs, by name.</summary>
public interface IBlobEngine
{
    /// <summary>The name in <c>store.blobs</c> and before the colon of a location; case does not count.</summary>
    string Name { get; }

    /// <summary>Makes the place; nothing is read or written yet. One that has something to close is an <see cref="IDisposable"/>.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.Configuration"/>: a setting is wrong.</exception>
    IBlobStore Create(StoreSettings settings);
}
