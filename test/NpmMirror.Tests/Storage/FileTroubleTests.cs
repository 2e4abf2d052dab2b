using NpmMirror.Storage;

namespace NpmMirror.Tests.Storage;

/// <summary>Exceptions of the file system, as operators are told them. The numbers are Linux's.</summary>
public sealed class FileTroubleTests
{
    [Theory]
    [InlineData(28, MirrorFault.StoreReadOnly, "The disk of /data is full")]
    [InlineData(122, MirrorFault.StoreReadOnly, "The disk of /data is full")]
    [InlineData(30, MirrorFault.StoreReadOnly, "/data cannot be written; mount it writable")]
    [InlineData(5, MirrorFault.StoreUnavailable, "The files in /data cannot be used: Odd.")]
    [InlineData(0, MirrorFault.StoreUnavailable, "The files in /data cannot be used: Odd.")]
    public void An_error_of_the_disk_is_told_with_its_remedy(int error, MirrorFault fault, string text)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "The numbers are Linux's.");
        var trouble = new IOException("Odd.", error);
        var told = FileTrouble.Explain(trouble, "/data");
        Assert.Equal((fault, true, trouble), (told.Fault, told.IsTransient, told.InnerException));
        Assert.StartsWith(text, told.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_right_is_told_as_a_folder_that_cannot_be_written() =>
        Assert.StartsWith("/data cannot be written", FileTrouble.Explain(new UnauthorizedAccessException("No."), "/data").Message, StringComparison.Ordinal);

    [Fact]
    public void Only_exceptions_of_the_file_system_are_its_trouble()
    {
        Assert.True(FileTrouble.IsOne(new DirectoryNotFoundException()));
        Assert.True(FileTrouble.IsOne(new UnauthorizedAccessException()));
        Assert.False(FileTrouble.IsOne(new InvalidOperationException()));
    }

    [Fact]
    public void A_folder_that_is_not_there_cannot_be_synced()
    {
        var failure = Assert.Throws<IOException>(() => DurableFolders.Sync("/nowhere/at/all"));
        Assert.StartsWith("/nowhere/at/all: ", failure.Message, StringComparison.Ordinal);
    }
}
