using NpmMirror.AspNetCore.Answers;
using NpmMirror.AspNetCore.Routing;

namespace NpmMirror.AspNetCore.Shortcut;

/// <summary>
/// The answers that connections give before the server. Closed until the registry is served, and for good if a trusted proxy's headers
/// tell the origin of a request: only the server reads these.
/// </summary>
internal sealed class ShortcutAnswers(AnswerMemory memory)
{
    private volatile ShortcutFeeds? _feeds;

    /// <summary>Answers feeds on their connection; null while closed.</summary>
    internal ShortcutFeeds? Feeds => _feeds;

    /// <summary>Opens it.</summary>
    internal void Open(ShortcutFeeds feeds) => _feeds = feeds;

    /// <summary>Counts an answer that was given on its connection.</summary>
    internal void Count(RememberedAnswer answer, in AnswerBody body) => _feeds?.Metrics.CountShortcut(answer.Route, answer.StatusOf(body), body.LengthBytes);

    /// <summary>The answer that this request got before, or null.</summary>
    internal RememberedAnswer? Find(in RequestHead head) => _feeds is null ? null : memory.Find(head);
}
