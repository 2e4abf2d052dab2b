namespace NpmMirror.AspNetCore.Connections;

/// <summary>What writes to a connection, and so knows what the kernel has not got yet.</summary>
internal interface IConnectionOutput
{
    /// <summary>Whether all that was written is with the kernel.</summary>
    bool IsDrained { get; }
}
