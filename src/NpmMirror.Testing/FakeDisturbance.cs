namespace NpmMirror.Testing;

/// <summary>All rules that match one request, as one.</summary>
internal sealed class FakeDisturbance
{
    public TimeSpan HeaderDelay { get; private set; }

    public List<FakeGate> Gates { get; } = [];

    public bool Hangs { get; private set; }

    public FakeRule? Answer { get; private set; }

    public string? RedirectTo { get; private set; }

    public Dictionary<string, string> Headers { get; } = new(StringComparer.OrdinalIgnoreCase);

    public int? BytesPerSecond { get; private set; }

    public int? CutAfterBytes { get; private set; }

    public bool ResetsAtCut { get; private set; }

    public bool TruncatesGzip { get; private set; }

    public bool CorruptsBody { get; private set; }

    public FakeFraming? Framing { get; private set; }

    public void Add(FakeRule rule)
    {
        HeaderDelay = rule.HeaderDelay ?? HeaderDelay;
        Hangs |= rule.Hangs;
        Answer = rule.Status is null ? Answer : rule;
        RedirectTo = rule.RedirectTo ?? RedirectTo;
        BytesPerSecond = rule.BytesPerSecond ?? BytesPerSecond;
        CutAfterBytes = rule.CutAfterBytes ?? CutAfterBytes;
        ResetsAtCut |= rule.ResetsAtCut;
        TruncatesGzip |= rule.TruncatesGzip;
        CorruptsBody |= rule.CorruptsBody;
        Framing = rule.Framing ?? Framing;
        if (rule.Gate is { } gate)
        {
            Gates.Add(gate);
        }

        foreach (var (name, value) in rule.Headers)
        {
            Headers[name] = value;
        }

        if (rule.RetryAfter is { } retryAfter)
        {
            Headers["Retry-After"] = retryAfter;
        }
    }
}
