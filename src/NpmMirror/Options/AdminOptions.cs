using System.ComponentModel.DataAnnotations;
using System.ComponentModel;

namespace NpmMirror.Options;

/// <summary>Who may administer.</summary>
public sealed class AdminOptions
{
    /// <summary>The bearer token of administrators, asked for from loopback too. Null: only loopback peers without forwarding headers.</summary>
    [DataType(DataType.Password)]
    [Description("The bearer token of administrators, asked for from this machine too; default: programs on this machine administer, and nobody else")]
    public string? Token { get; set; }
}
