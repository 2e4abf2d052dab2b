using NpmMirror.Log;

namespace NpmMirror.Tests.Chain;

public sealed class OldValueTests
{
    [Fact]
    public void Only_a_value_that_is_neither_inline_nor_in_a_document_is_absent()
    {
        Assert.True(OldValue.Absent.IsAbsent);
        Assert.False(new OldValue("null").IsAbsent);
        Assert.False(new OldValue(null, "00ff", 3, 4).IsAbsent);
    }
}
