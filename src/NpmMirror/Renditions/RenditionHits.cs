namespace NpmMirror.Renditions;

/// <summary>How often a rendition was in memory when it was asked for; counted on the way of each answer, so by an addition and nothing else.</summary>
internal sealed class RenditionHits
{
    private long _count;

    internal long Count => Interlocked.Read(ref _count);

    internal void Add() => Interlocked.Increment(ref _count);
}
