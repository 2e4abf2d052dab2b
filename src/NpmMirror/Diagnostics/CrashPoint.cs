namespace NpmMirror.Diagnostics;

/// <summary>
/// Named places between two writes where a test makes the process die as in a power cut: the environment variable
/// <c>NPM_MIRROR_CRASH_AT</c> names one. Without it a hit is one comparison with null.
/// </summary>
public static class CrashPoint
{
    /// <summary>A tarball is in place, its row is not.</summary>
    public const string AfterBlobRename = "after-blob-rename";

    /// <summary>All is ready, nothing of the package is written.</summary>
    public const string BeforeCommit = "before-commit";

    /// <summary>The package is written, its queue item is still there.</summary>
    public const string AfterCommit = "after-commit";

    /// <summary>A page's names are queued, its cursor is not.</summary>
    public const string AfterEnqueueBeforeCursor = "after-enqueue-before-cursor";

    /// <summary>A package is handled, its queue item is about to go.</summary>
    public const string AfterCommitBeforeComplete = "after-commit-before-complete";

    /// <summary>Between two rows of one commit's events.</summary>
    public const string WhileNumberingEvents = "while-numbering-events";

    /// <summary>An unneeded blob is out of sight, and neither deleted nor restored.</summary>
    public const string AfterCondemning = "after-condemning";

    /// <summary>A tarball's row is gone, its bytes are not.</summary>
    public const string AfterForgetting = "after-forgetting";

    private static readonly string? Armed = Environment.GetEnvironmentVariable("NPM_MIRROR_CRASH_AT");

    /// <summary>Dies here when this place is armed: no handler runs, no buffer is flushed.</summary>
    public static void Hit(string name)
    {
        if (Armed is not null && string.Equals(Armed, name, StringComparison.Ordinal))
        {
            // SIGKILL to oneself: Environment.FailFast would still run the runtime's crash handling.
            System.Diagnostics.Process.GetCurrentProcess().Kill();
            Thread.Sleep(Timeout.Infinite);
        }
    }
}
