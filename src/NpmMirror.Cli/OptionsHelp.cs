using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using NpmMirror.Cli.Settings;
using NpmMirror.Options;

namespace NpmMirror.Cli;

/// <summary>The library's help and, below it, the settings that every command takes: the ten that most people need, then all others by group.</summary>
internal sealed class OptionsHelp(HelpAction inner) : SynchronousCommandLineAction
{
    private static readonly string[] Chief = ["upstream", "data", "listen", "publicUrl", "metadata", "list", "tarballs", "feed", "ttl", "admin.token"];

    public override bool ClearsParseErrors => true;

    public override int Invoke(ParseResult parseResult)
    {
        var code = inner.Invoke(parseResult);
        var output = parseResult.InvocationConfiguration.Output;
        output.WriteLine("Settings, for every command: --name=value, or --name value");
        foreach (var name in Chief)
        {
            Write(output, OptionDefinition.All.Single(option => option.Name == name));
        }

        foreach (var group in OptionDefinition.All.Where(option => !Chief.Contains(option.Name)).GroupBy(option => option.Group))
        {
            output.WriteLine();
            output.WriteLine($"{group.Key}:");
            foreach (var option in group)
            {
                Write(output, option);
            }
        }

        output.WriteLine();
        output.WriteLine($"  {"--config=FILE",-28}  A JSON file of settings; ./{SettingLayers.DefaultFile} is read when it is there");
        output.WriteLine("The same words work as JSON ({\"store\":{\"engine\":\"Memory\"}}) and in the environment (NPM_MIRROR__STORE__ENGINE=Memory).");
        output.WriteLine("Flags win over the environment, the environment over the file, the file over the defaults.");
        return code;
    }

    private static void Write(TextWriter output, OptionDefinition option)
    {
        var value = OptionValue.Format(option, option.IsFree ? null : option.Get(new MirrorOptions()));
        output.WriteLine($"  {$"--{option.Name}{(option.IsFree ? ".<name>" : "")}",-28}  {option.Description}{(value.Length > 0 ? $" [{value}]" : "")}");
    }
}
