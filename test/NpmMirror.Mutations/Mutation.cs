namespace NpmMirror.Mutations;

/// <summary>One small change of the product.</summary>
/// <param name="Id">Its switch.</param>
/// <param name="File">The file, from the root of the tree.</param>
/// <param name="Line">The line.</param>
/// <param name="Kind">The kind of change.</param>
/// <param name="Original">The code as it is.</param>
/// <param name="Changed">The code as it would be.</param>
/// <param name="IsOnce">Whether it runs once in a process, so that only the first test that needs its type reaches it.</param>
internal sealed record Mutation(int Id, string File, int Line, string Kind, string Original, string Changed, bool IsOnce)
{
    public override string ToString() => $"{File}:{Line} {Kind}: {Original} → {Changed}";
}
