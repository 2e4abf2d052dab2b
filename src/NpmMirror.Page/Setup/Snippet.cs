namespace NpmMirror.Page.Setup;

/// <summary>Settings of one client for this mirror, to be copied.</summary>
/// <param name="Name">The client.</param>
/// <param name="Where">Where the text goes.</param>
/// <param name="Text">The text.</param>
/// <param name="Note">What else to know; null: nothing.</param>
internal sealed record Snippet(string Name, string Where, string Text, string? Note = null)
{
    /// <summary>Those for a registry's address, which has no slash at its end.</summary>
    internal static IReadOnlyList<Snippet> For(string registry)
    {
        var host = new Uri(registry).Authority;
        var isPlain = registry.StartsWith("http://", StringComparison.Ordinal);
        return
        [
            new("npm", "in a terminal", $"npm config set registry {registry}/", "Or the line registry=… in a project's .npmrc."),
            new("pnpm", "pnpm-workspace.yaml", $"registries:\n  {registry}/:\n    serverType: npm\n    supportsTimeField: true\nregistry: {registry}/", "With supportsTimeField pnpm takes the small packuments, which have publish times here. Older pnpm: npm's line."),
            new("yarn 1", "in a terminal", $"yarn config set registry {registry}/", "A yarn.lock with other addresses keeps them; this mirror serves what it is asked for."),
            new("Yarn 2 and later", ".yarnrc.yml", $"npmRegistryServer: \"{registry}/\"{(isPlain ? $"\nunsafeHttpWhitelist:\n  - \"{new Uri(registry).Host}\"" : "")}"),
            new("Bun", "bunfig.toml", $"[install]\nregistry = \"{registry}/\""),
            new("Deno", ".npmrc", $"registry={registry}/"),
            new("Renovate", "config.js of the bot", $"process.env.RENOVATE_NPMRC = 'registry={registry}/';\nmodule.exports = {{ npmrc: 'registry={registry}/' }};", "Publish times are served, so that minimumReleaseAge works."),
            new("Dependabot", ".github/dependabot.yml", $"version: 2\nregistries:\n  mirror:\n    type: npm-registry\n    url: {registry}/\n    replaces-base: true\nupdates:\n  - package-ecosystem: npm\n    directory: /\n    registries: [mirror]\n    schedule:\n      interval: weekly"),
            new("Docker", "Dockerfile", $"ARG NPM_CONFIG_REGISTRY={registry}/\nENV NPM_CONFIG_REGISTRY=$NPM_CONFIG_REGISTRY\nRUN npm ci", host.StartsWith("localhost", StringComparison.Ordinal) || host.StartsWith("127.", StringComparison.Ordinal) ? "Inside a container this address is the container itself: open this page by a name that containers reach." : null),
            new("Any CI", "environment of the job", $"NPM_CONFIG_REGISTRY={registry}/\nYARN_REGISTRY={registry}/\nYARN_NPM_REGISTRY_SERVER={registry}/\nBUN_CONFIG_REGISTRY={registry}/"),
        ];
    }
}

/// <summary>What the page for setting up shows.</summary>
internal sealed record SetupModel(PageFrame Frame, IReadOnlyList<Snippet> Snippets);
