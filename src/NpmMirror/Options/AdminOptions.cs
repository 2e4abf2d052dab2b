using System.ComponentModel.DataAnnotations;
using System.ComponentModel;

namespace NpmMirror.Options;

/// <summary>The access of administrators.</summary>
public sealed class AdminOptions
{
    /// <summary>The bearer token of administrators, asked for from loopback too. Null: only loopback peers without forwarding headers.</summary>
    [DataType(DataType.Password)]
    [Description("The bearer token of administrators, needed on this machine too; default: no token, and only programs on this machine administer")]
    public string? Token { get; set; }
}
