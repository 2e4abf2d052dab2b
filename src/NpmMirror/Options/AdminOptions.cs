namespace NpmMirror.Options;

/// <summary>The access of administrators.</summary>
public sealed class AdminOptions
{
    /// <summary>The bearer token of administrators, asked for from loopback too. Null: only loopback peers without forwarding headers.</summary>
    public string? Token { get; set; }
}
