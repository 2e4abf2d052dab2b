namespace NpmMirror.Testing;

/// <summary>A change that was made, as its row in the feed tells it.</summary>
/// <param name="Name">The package.</param>
/// <param name="Sequence">Its number in the feed.</param>
/// <param name="Revision">The packument's new <c>_rev</c>.</param>
public sealed record FakeChange(string Name, long Sequence, string Revision);
