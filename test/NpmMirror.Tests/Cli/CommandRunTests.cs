using NpmMirror.Cli;
using NpmMirror.Cli.Commands;

namespace NpmMirror.Tests.Cli;

/// <summary>How a command ends when its work fails.</summary>
public sealed class CommandRunTests
{
    public static TheoryData<Exception, int, string> Failures() => new()
    {
        { new OperationCanceledException(), ExitCode.Failed, "" },
        { new InvalidOperationException("Nobody expected this."), ExitCode.Failed, "Unexpected error, please report it: System.InvalidOperationException: Nobody expected this." },
        { new MirrorException(MirrorFault.BadInput, "Not so."), ExitCode.Usage, "Not so." },
        { new MirrorException(MirrorFault.Configuration, "Not so."), ExitCode.Usage, "Not so." },
        { new MirrorException(MirrorFault.StoreDamaged, "Not so."), ExitCode.Refused, "Not so." },
        { new MirrorException(MirrorFault.UpstreamMalformed, "Not so."), ExitCode.Failed, "Not so." },
        { new MirrorException(MirrorFault.StoreReadOnly, "Not now.", isTransient: true), ExitCode.Refused, "Not now. Run it again later." },
    };

    [Theory]
    [MemberData(nameof(Failures), DisableDiscoveryEnumeration = true)]
    public async Task An_exception_of_the_work_becomes_a_sentence_and_an_exit_code(Exception failure, int code, string told)
    {
        await using var errors = new StringWriter();
        Assert.Equal(code, await CommandRun.RunAsync([], _ => Task.FromException<int>(failure), errors));
        Assert.Equal(told, errors.ToString().Split(Environment.NewLine)[0]);
    }

    [Fact]
    public async Task The_code_of_the_work_is_the_code() => Assert.Equal(17, await CommandRun.RunAsync([], _ => Task.FromResult(17)));

    [Fact]
    public async Task A_flag_that_cannot_be_is_a_usage_error_and_nothing_is_done()
    {
        await using var errors = new StringWriter();
        Assert.Equal(ExitCode.Usage, await CommandRun.RunAsync(["--concurrency=none"], _ => throw new InvalidOperationException("It was done."), errors));
        Assert.StartsWith("concurrency is “none” (from --concurrency)", errors.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_output_that_was_closed_is_left_to_the_program() =>
        await Assert.ThrowsAsync<ClosedOutputException>(() => CommandRun.RunAsync([], _ => Task.FromException<int>(new ClosedOutputException())));
}
