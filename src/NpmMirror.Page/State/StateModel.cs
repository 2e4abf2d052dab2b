using NpmMirror.AspNetCore.Feeds;
using NpmMirror.AspNetCore.Pages;
using NpmMirror.Removals;

namespace NpmMirror.Page.State;

/// <summary>What the state page shows.</summary>
internal sealed record StateModel(PageFrame Frame, StateSnapshot State, IReadOnlyList<Takedown>? Takedowns, ClientSums Clients, IReadOnlyList<Chart> Charts, bool HasToken)
{
    internal static IReadOnlyList<string> EventTypes => EventsFilter.Types;

    internal string HealthClass => State.Health.Level switch { HealthLevel.Well => "well", HealthLevel.Attention => "attention", _ => "trouble" };

    internal string HealthWord => State.Health.Level switch { HealthLevel.Well => "Well:", HealthLevel.Attention => "Needs a look:", _ => "Trouble:" };

    internal IEnumerable<Failing> Failing =>
    [
        .. State.Status.Errors.Select(error => new Failing(error.Package, error.Error, error.Attempts, error.NextTry)),
        .. State.Status.GivenUp.Reverse().Take(20).Select(given => new Failing(given.Package, given.Reason, given.Attempts, null)),
    ];
}

/// <summary>A package that fails.</summary>
internal sealed record Failing(string Package, string Why, int Attempts, DateTimeOffset? NextTry);
