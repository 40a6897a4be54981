package io.egressproxy.testkit;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Assumptions;

/**
 * Finds the programs that the test kit runs. A missing one aborts the test, which reports show as skipped with the
 * reason; with {@code -Dtestkit.required=true} it fails the test, so that a build meant to run everything cannot lose
 * coverage.
 */
final class Programs {

    /** System property that turns a missing program from a visible skip into an error. */
    static final String REQUIRED = "testkit.required";

    private static final long TIMEOUT_SECONDS = 20;

    private Programs() {}

    /** Looks through PATH and the directories of system programs, which are not on the PATH of every user. */
    static Optional<Path> find(String program) {
        List<String> directories = new ArrayList<>();
        directories.addAll(
                List.of(Optional.ofNullable(System.getenv("PATH")).orElse("").split(File.pathSeparator)));
        directories.addAll(List.of("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"));
        return directories.stream()
                .filter(directory -> !directory.isEmpty())
                .map(directory -> Path.of(directory, program))
                .filter(Files::isExecutable)
                .findFirst();
    }

    static Path require(String program, String debianPackage) {
        return find(program).orElseGet(() -> missing(program, debianPackage));
    }

    static Path requireFile(Path file, String debianPackage) {
        return Files.isReadable(file) ? file : missing(file.toString(), debianPackage);
    }

    /** Runs a short-lived program and returns what it wrote to its standard output. */
    static String run(List<String> command) {
        try {
            Path errors = Files.createTempFile("testkit", ".err");
            try {
                Process process = new ProcessBuilder(command)
                        .redirectError(errors.toFile())
                        .start();
                process.getOutputStream().close();
                String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
                if (!process.waitFor(TIMEOUT_SECONDS, TimeUnit.SECONDS) || process.exitValue() != 0) {
                    process.destroyForcibly();
                    throw new IllegalStateException(command.get(0) + " failed: " + Files.readString(errors));
                }
                return output;
            } finally {
                Files.delete(errors);
            }
        } catch (IOException e) {
            throw new IllegalStateException("Cannot run " + command.get(0), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("Interrupted while running " + command.get(0), e);
        }
    }

    private static Path missing(String program, String debianPackage) {
        String message = "Needs the program " + program + " (Debian package " + debianPackage + ")";
        if (Boolean.getBoolean(REQUIRED)) {
            throw new IllegalStateException(message + ", and " + REQUIRED + "=true");
        }
        return Assumptions.abort(message);
    }
}
