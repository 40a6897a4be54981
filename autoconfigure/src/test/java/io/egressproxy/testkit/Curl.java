package io.egressproxy.testkit;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * A client that shares no code with what is tested here: the test kit must be right by somebody else's account,
 * before it is used to judge.
 */
final class Curl {

    /**
     * What came of a call.
     *
     * @param exitCode 0 for success, else curl's number of the error
     * @param connectStatus the proxy's answer to CONNECT, 0 if there was none
     * @param httpVersion for example {@code 1.1} or {@code 2}
     */
    record Result(int exitCode, int status, int connectStatus, String httpVersion, String body, String errors) {}

    private static final String SUMMARY = "\n%{http_code} %{http_connect} %{http_version}";

    private final List<String> command = new ArrayList<>();
    private String input = "";

    private Curl(String url) {
        String curl = Programs.require("curl", "curl").toString();
        command.addAll(List.of(curl, "-q", "-sS", "--max-time", "8", "-w", SUMMARY, "--config", "-", url));
    }

    static Curl get(String url) {
        return new Curl(url);
    }

    /** Uses the proxy, with its credentials, for a tunnel; names are left to it where its protocol allows. */
    Curl through(RunningProxy proxy) {
        return through(proxy.scheme(), proxy.port(), proxy.credentials());
    }

    Curl through(String scheme, int port, @Nullable Credentials credentials) {
        String remoteNames = scheme.equals("socks5") ? "socks5h" : scheme;
        with("--noproxy", "", "--proxytunnel", "--proxy", remoteNames + "://" + LoopbackPorts.HOST + ":" + port);
        if (credentials != null) {
            // By standard input, in UTF-8: arguments are encoded as the locale of the JVM demands.
            input = "proxy-user = \"" + credentials.username() + ":" + credentials.password() + "\"\n";
        }
        return this;
    }

    /** Trusts the authority for targets and for proxies. */
    Curl trusting(TestCertificates certificates) {
        String file = certificates.authorityFile().toString();
        return with("--cacert", file, "--proxy-cacert", file);
    }

    Curl with(String... options) {
        command.addAll(List.of(options));
        return this;
    }

    Result run() {
        try {
            ProcessBuilder builder = new ProcessBuilder(command);
            builder.environment().keySet().removeIf(name -> name.toLowerCase(Locale.ROOT)
                    .endsWith("_proxy"));
            Process process = builder.start();
            try (OutputStream stdin = process.getOutputStream()) {
                stdin.write(input.getBytes(StandardCharsets.UTF_8));
            }
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            String errors = new String(process.getErrorStream().readAllBytes(), StandardCharsets.UTF_8);
            if (!process.waitFor(20, TimeUnit.SECONDS)) {
                process.destroyForcibly();
                throw new IllegalStateException("curl hangs");
            }
            int summary = output.lastIndexOf('\n');
            String[] numbers = output.substring(summary + 1).split(" ");
            return new Result(
                    process.exitValue(),
                    Integer.parseInt(numbers[0]),
                    Integer.parseInt(numbers[1]),
                    numbers[2],
                    output.substring(0, summary),
                    errors);
        } catch (IOException e) {
            throw new IllegalStateException("Cannot run curl", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("Interrupted", e);
        }
    }
}
