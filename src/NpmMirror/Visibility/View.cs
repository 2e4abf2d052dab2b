namespace NpmMirror.Visibility;

/// <summary>Which versions and tags a reader sees.</summary>
internal sealed class View
{
    private View(string key, DateTimeOffset? validUntil)
    {
        Key = key;
        ValidUntil = validUntil;
    }

    /// <summary>Everything, as it is now.</summary>
    public static View Live { get; } = new("live", null);

    /// <summary>Names the view in ETags: two views with one key show the same.</summary>
    public string Key { get; }

    /// <summary>From when on the view may show something else without a change in the log; null for never.</summary>
    public DateTimeOffset? ValidUntil { get; }
}
