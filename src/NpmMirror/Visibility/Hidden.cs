namespace NpmMirror.Visibility;

/// <summary>Why something that the store holds is not shown.</summary>
/// <param name="Status">The HTTP status of the refusal: 404, or 451 where it was taken down.</param>
/// <param name="Reason">One sentence for a client.</param>
internal sealed record Hidden(int Status, string Reason);
