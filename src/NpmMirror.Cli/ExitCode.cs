namespace NpmMirror.Cli;

/// <summary>The program's exit codes; docs/operating.md says the same to users.</summary>
internal static class ExitCode
{
    /// <summary>All went well.</summary>
    public const int Ok = 0;

    /// <summary>Something failed, for example packages in a <c>sync</c>.</summary>
    public const int Failed = 1;

    /// <summary>The command line or the configuration is wrong; nothing was written.</summary>
    public const int Usage = 2;

    /// <summary>The store refuses: in use, read-only, full, or written by a newer program.</summary>
    public const int Refused = 3;

    /// <summary>A reconciliation found more to remove than one night should bring, and removed nothing.</summary>
    public const int HeldBack = 4;

    /// <summary>A verification found something that was not mended.</summary>
    public const int Found = 5;

    /// <summary>Standard output is closed: shells report this code of every program that a closed pipe ends.</summary>
    public const int OutputClosed = 141;

    /// <summary>The exit code that fits a failure.</summary>
    public static int For(MirrorException failure) => failure.Fault switch
    {
        MirrorFault.BadInput or MirrorFault.Configuration => Usage,
        MirrorFault.StoreUnavailable or MirrorFault.StoreReadOnly or MirrorFault.StoreSchema or MirrorFault.StoreDamaged => Refused,
        _ => Failed,
    };
}
