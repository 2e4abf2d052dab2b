using NpmMirror.Cli;

namespace NpmMirror.Tests.Cli;

public sealed class ExitCodeTests
{
    // As docs/operating.md tells them to scripts.
    private static readonly Dictionary<MirrorFault, int> Codes = new()
    {
        [MirrorFault.BadInput] = 2,
        [MirrorFault.Configuration] = 2,
        [MirrorFault.StoreUnavailable] = 3,
        [MirrorFault.StoreReadOnly] = 3,
        [MirrorFault.StoreSchema] = 3,
        [MirrorFault.StoreDamaged] = 3,
        [MirrorFault.UpstreamUnavailable] = 1,
        [MirrorFault.UpstreamBusy] = 1,
        [MirrorFault.UpstreamRefused] = 1,
        [MirrorFault.UpstreamMalformed] = 1,
        [MirrorFault.TooLarge] = 1,
        [MirrorFault.ForbiddenSource] = 1,
    };

    [Claim("Every fault has the exit code that scripts know; a folder that cannot be written is a 3",
        With = [$"{nameof(BackupTests)}.{nameof(BackupTests.A_folder_that_cannot_be_written_is_refused)}"],
        Red = "`ExitCode.For` gives 1 for a read-only store")]
    [Fact]
    public void Every_fault_has_the_code_that_scripts_know()
    {
        Assert.Equal(Enum.GetValues<MirrorFault>().Order(), Codes.Keys.Order());
        Assert.All(Codes, code => Assert.Equal(code.Value, ExitCode.For(new MirrorException(code.Key, "It failed."))));
    }
}
