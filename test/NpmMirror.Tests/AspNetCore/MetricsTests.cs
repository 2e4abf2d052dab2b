using System.Net.Sockets;
using System.Text;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.AspNetCore.Routing;
using NpmMirror.Diagnostics;
using NpmMirror.Testing;
using OpenTelemetry;
using OpenTelemetry.Metrics;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>The content of <c>/metrics</c>, and the cost of counting.</summary>
public sealed class MetricsTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Claim("`/metrics` tells the work and the serving of one mirror: requests by route pattern, status and the part that answered, bytes, durations, connections, renditions, budget, store, upstream; each instrument has a line for operators",
        With =
        [
            nameof(Prometheus_gets_the_form_that_it_asks_for),
            nameof(Requests_are_counted_by_route_and_status_for_each_answerer),
            nameof(A_feed_is_counted_with_the_bytes_it_sent),
            nameof(The_work_of_a_mirror_moves_its_instruments),
            nameof(Every_route_has_a_pattern),
            $"{nameof(Cli.DocumentationTests)}.{nameof(Cli.DocumentationTests.Every_metric_has_a_line_for_operators)}",
        ])]
    [Fact]
    public async Task Metrics_are_the_instruments_of_the_mirror_as_text()
    {
        await using var mirror = await ServedMirror.StartAsync();
        var meter = mirror.Mirror.Meter;
        var counter = meter.CreateCounter<long>("npm_mirror.test.things", description: "Things \"seen\"");
        counter.Add(2, new KeyValuePair<string, object?>("kind", "a\"b"));
        counter.Add(3, new KeyValuePair<string, object?>("kind", "a\"b"));
        meter.CreateObservableGauge("npm_mirror.test.depth", () => 7);
        meter.CreateDurations("npm_mirror.test.wait", "", 0.25, 1).Record(0.5);
        var text = await mirror.TextAsync("/metrics");
        Assert.Contains("# TYPE npm_mirror_test_things_total counter\n", text);
        Assert.Contains("npm_mirror_test_things_total{kind=\"a\\\"b\"} 5\n", text);
        Assert.Contains("npm_mirror_test_depth{} 7\n", text);
        Assert.Contains("npm_mirror_test_wait_seconds_bucket{le=\"0.25\"} 0\n", text);
        Assert.Contains("npm_mirror_test_wait_seconds_bucket{le=\"1\"} 1\n", text);
        Assert.Contains("npm_mirror_test_wait_seconds_sum{} 0.5\n", text);
        Assert.Contains("dotnet_gc_", text);
    }

    [Fact]
    public async Task Prometheus_gets_the_form_that_it_asks_for()
    {
        await using var mirror = await ServedMirror.StartAsync();
        using var answer = await mirror.GetAsync("/metrics", ("Accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"));
        Assert.StartsWith("application/openmetrics-text; version=1.0.0", answer.Content.Headers.ContentType!.ToString());
        Assert.Equal("no-store", answer.Headers.CacheControl!.ToString());
        Assert.EndsWith("# EOF\n", await answer.Content.ReadAsStringAsync(Cancelled));
        using var head = new HttpRequestMessage(HttpMethod.Head, new Uri("/metrics", UriKind.Relative));
        using var empty = await mirror.SendAsync(head);
        Assert.StartsWith("text/plain", empty.Content.Headers.ContentType!.ToString());
        Assert.True(empty.Content.Headers.ContentLength > 0);
    }

    [Claim("Mirrors of one process count apart, a slow reader of `/metrics` holds up no other, and counting an answer of the connection makes no object",
        With = [nameof(A_slow_reader_of_metrics_delays_no_other), nameof(Counting_an_answer_of_the_connection_makes_no_object)])]
    [Fact]
    public async Task Mirrors_of_one_process_count_apart()
    {
        await using var one = await ServedMirror.StartAsync();
        await using var other = await ServedMirror.StartAsync();
        await one.TextAsync("-/ping");
        Assert.Contains("npm_mirror_http_requests_total{by=\"server\",route=\"/-/ping\",status=\"200\"} 1\n", await one.TextAsync("/metrics"));
        Assert.DoesNotContain("/-/ping", await other.TextAsync("/metrics"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Requests_are_counted_by_route_and_status_for_each_answerer()
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("ms", Documents.Of("ms"));
        using var first = await mirror.GetAsync("ms");
        var length = (await first.Content.ReadAsByteArrayAsync(Cancelled)).Length;
        using var second = await mirror.GetAsync("ms");
        using var same = await mirror.GetAsync("ms", ("If-None-Match", first.Headers.ETag!.Tag));
        using var missing = await mirror.GetAsync("ms/9.9.9");
        using var outside = await mirror.GetAsync("/somewhere/else");
        Assert.Equal(1, mirror.RequestsSeen - 2);
        var text = await mirror.TextAsync("/metrics");
        Assert.Contains("npm_mirror_http_requests_total{by=\"server\",route=\"/{package}\",status=\"200\"} 1\n", text);
        Assert.Contains("npm_mirror_http_requests_total{by=\"connection\",route=\"/{package}\",status=\"200\"} 1\n", text);
        Assert.Contains("npm_mirror_http_requests_total{by=\"connection\",route=\"/{package}\",status=\"304\"} 1\n", text);
        Assert.Contains("npm_mirror_http_requests_total{by=\"server\",route=\"/{package}/{version}\",status=\"503\"} 1\n", text);
        Assert.Contains($"npm_mirror_http_sent_bytes_total{{by=\"server\",route=\"/{{package}}\",status=\"200\"}} {length}\n", text);
        Assert.Contains($"npm_mirror_http_sent_bytes_total{{by=\"connection\",route=\"/{{package}}\",status=\"200\"}} {length}\n", text);
        Assert.Contains("npm_mirror_http_request_duration_seconds_count{route=\"/{package}\"} 1\n", text);
        Assert.DoesNotContain("somewhere", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_feed_is_counted_with_the_bytes_it_sent()
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("ms", Documents.Of("ms"));
        var served = (await mirror.TextAsync("_changes")).Length;
        // A connection that begins with a follower is answered before the server.
        using var follower = new HttpClient();
        var followed = (await follower.GetStringAsync(new Uri(mirror.Address, "/npm/_changes?feed=longpoll&since=0"), Cancelled)).Length;
        // The follower has its answer a moment before it is counted.
        await Eventually.Async(async () => (await mirror.TextAsync("/metrics")).Contains($"npm_mirror_http_sent_bytes_total{{by=\"connection\",route=\"/_changes\",status=\"200\"}} {followed}\n", StringComparison.Ordinal));
        Assert.Contains($"npm_mirror_http_sent_bytes_total{{by=\"server\",route=\"/_changes\",status=\"200\"}} {served}\n", await mirror.TextAsync("/metrics"));
    }

    [Fact]
    public async Task The_work_of_a_mirror_moves_its_instruments()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        registry.Publish(new FakePackage("ms").Version("1.0.0"));
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        await mirror.TextAsync("ms");
        await mirror.SettleAsync();
        await mirror.TextAsync("ms");
        await mirror.TextAsync("ms");
        using var tarball = await mirror.GetAsync("ms/-/ms-1.0.0.tgz");
        tarball.EnsureSuccessStatusCode();
        var text = await mirror.TextAsync("/metrics");
        foreach (var cache in new[] { "answers", "addresses", "visibility", "stored tarballs", "failed tarballs", "absent packages", "absent versions", "searched packages", "compared packages", "damaged packages" })
        {
            Assert.Contains($"\nnpm_mirror_cache_entries{{cache=\"{cache}\"}} ", text);
        }

        foreach (var work in new[] { "fetches", "looks", "renditions", "searches" })
        {
            Assert.Contains($"\nnpm_mirror_shared_work_underway{{work=\"{work}\"}} ", text);
        }

        foreach (var series in new[]
        {
            "npm_mirror_upstream_request_duration_seconds_count{kind=\"packument\",status=\"200\"}", "npm_mirror_upstream_request_duration_seconds_count{kind=\"tarball\",status=\"200\"}",
            "npm_mirror_store_duration_seconds_count{operation=\"find\"}", "npm_mirror_store_duration_seconds_count{operation=\"read\"}", "npm_mirror_store_duration_seconds_count{operation=\"commit\"}",
            "npm_mirror_renditions_made_total{}", "npm_mirror_renditions_hits_total{}", "npm_mirror_cache_size_bytes{cache=\"renditions\"}", "npm_mirror_budget_used_bytes{}", "npm_mirror_budget_limit_bytes{}",
            "npm_mirror_http_connections{state=\"answered\"}", "npm_mirror_http_connections{state=\"idle\"}", "npm_mirror_http_connections{state=\"waiting\"}",
            "npm_mirror_tarballs_opened_total{source=\"arriving\"}", "npm_mirror_tarballs_fetched_total{outcome=\"held\"}", "npm_mirror_tarballs_stored_bytes_total{}", "npm_mirror_sync_attempts_total{outcome=\"stored\"}",
        })
        {
            Assert.Contains($"\n{series} ", text);
        }

        Assert.Matches("npm_mirror_renditions_hits_total\\{\\} [1-9]", text);
        Assert.Matches("npm_mirror_cache_size_bytes.* [1-9]", text);
    }

    [Fact]
    public async Task A_slow_reader_of_metrics_delays_no_other()
    {
        await using var mirror = await ServedMirror.StartAsync();
        var counter = mirror.Mirror.Meter.CreateCounter<long>("npm_mirror.test.many");
        foreach (var number in Enumerable.Range(0, 1_900))
        {
            // Together longer than the kernel's buffers for an answer without a reader.
            counter.Add(1, new KeyValuePair<string, object?>("number", new string('x', 5_000) + number));
        }

        using var slow = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 4096 };
        await slow.ConnectAsync(mirror.Address.Host, mirror.Address.Port, Cancelled);
        await slow.SendAsync(Encoding.Latin1.GetBytes($"GET /metrics HTTP/1.1\r\nHost: {mirror.Address.Authority}\r\n\r\n"), Cancelled);
        await slow.ReceiveAsync(new byte[1], Cancelled);
        Assert.Contains("npm_mirror_test_many_total", await mirror.TextAsync("/metrics").WaitAsync(TimeSpan.FromSeconds(30), Cancelled));
    }

    [Fact]
    public void Every_route_has_a_pattern()
    {
        var routes = typeof(RegistryRoute).GetNestedTypes().Where(type => type.IsSubclassOf(typeof(RegistryRoute))).Select(Made).ToList();
        Assert.NotEmpty(routes);
        Assert.Equal(routes.Count, routes.Select(route => route.Pattern).Distinct().Count());

        static RegistryRoute Made(Type type)
        {
            var constructor = type.GetConstructors().Single();
            return (RegistryRoute)constructor.Invoke([.. constructor.GetParameters().Select(parameter => parameter.ParameterType.IsValueType ? Activator.CreateInstance(parameter.ParameterType) : null)]);
        }
    }

    [Fact]
    public void Counting_an_answer_of_the_connection_makes_no_object()
    {
        using var meter = Telemetry.Create(this);
        using var provider = Sdk.CreateMeterProviderBuilder().AddMeter(Telemetry.MeterName).AddPrometheusExporter().Build();
        var metrics = AnswerMetrics.Of(meter, TimeProvider.System);
        Count(1_000);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Count(1_000);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Count(int times)
        {
            for (var i = 0; i < times; i++)
            {
                metrics.CountShortcut(RegistryRoute.PackumentPattern, 200, 1_000);
            }
        }
    }
}
