using NpmMirror.Options;

namespace NpmMirror.Renditions;

/// <summary>The base URL that most clients will ask under: <c>publicUrl</c>, else the one served last, else where this process listens.</summary>
public sealed class DefaultBase(MirrorOptions options)
{
    private string _url = options.PublicUrl?.TrimEnd('/') ?? options.Listen.TrimEnd('/') + options.Mount.TrimEnd('/');

    /// <summary>The base URL, without a trailing slash.</summary>
    public string Url => Volatile.Read(ref _url);

    /// <summary>Notes that a client asks under this one.</summary>
    public void Note(string baseUrl)
    {
        // Compared first: the line is shared by all threads.
        if (options.PublicUrl is null && !ReferenceEquals(Url, baseUrl) && Url != baseUrl)
        {
            Volatile.Write(ref _url, baseUrl);
        }
    }
}
