using NpmMirror.Hosting;
using NpmMirror.Tests.Sqlite;

namespace NpmMirror.Tests.Hosting;

public sealed class FollowLockTests
{
    [Fact]
    public void A_second_follower_of_a_folder_is_refused_until_the_first_has_ended()
    {
        using var folder = new TempFolder();
        var first = FollowLock.Take(folder.Path);
        Assert.NotNull(first);
        var refused = Assert.Throws<MirrorException>(() => FollowLock.Take(folder.Path));
        Assert.Contains(folder.Path, refused.Message, StringComparison.Ordinal);
        first.Dispose();
        using var next = FollowLock.Take(folder.Path);
        Assert.NotNull(next);
    }

    [Fact]
    public void On_a_disk_that_cannot_be_written_there_is_nothing_to_lock()
    {
        using var disk = SmallDisk.Mount(megabytes: 1);
        using (FollowLock.Take(disk.Path))
        {
        }

        disk.MakeReadOnly();
        Assert.Null(FollowLock.Take(disk.Path));
    }
}
