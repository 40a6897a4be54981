package io.egressproxy.testkit;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Runs a program in mount and process namespaces of its own. The mounts give it another {@code /etc/hosts} or
 * password database than the machine's, which stay untouched; the process namespace dies as a whole with its first
 * process, however many children a proxy forks and whatever users they switch to.
 */
final class PrivateNamespace {

    /**
     * Mounts pairs of arguments over each other, then stays the first process of the namespace and waits for the
     * program.
     */
    private static final String INIT =
            "while [ \"$1\" != -- ]; do mount --bind \"$1\" \"$2\" || exit 97; shift 2; done; shift; \"$@\" & wait $!";

    private final boolean available;

    /** Tries a real mount, because containers often have the program but not the permission. */
    PrivateNamespace(Path anyFile) {
        this.available = isPermitted(anyFile);
    }

    boolean available() {
        return available;
    }

    /** The command that runs the given one with the key files replaced by the value files. */
    List<String> wrap(Map<Path, Path> replacements, List<String> command) {
        List<String> wrapped = new ArrayList<>(List.of("unshare", "--mount", "--pid", "--fork", "--kill-child"));
        if (!isRoot()) {
            wrapped.add("--map-root-user");
        }
        wrapped.addAll(List.of("sh", "-c", INIT, "testkit"));
        replacements.forEach((replaced, by) -> wrapped.addAll(List.of(by.toString(), replaced.toString())));
        wrapped.add("--");
        wrapped.addAll(command);
        return wrapped;
    }

    static boolean isRoot() {
        try {
            return Integer.valueOf(0).equals(Files.getAttribute(Path.of("/proc/self"), "unix:uid"));
        } catch (IOException | UnsupportedOperationException e) {
            return false;
        }
    }

    private boolean isPermitted(Path anyFile) {
        Optional<Path> unshare = Programs.find("unshare");
        if (unshare.isEmpty()) {
            return false;
        }
        try {
            Programs.run(wrap(Map.of(Path.of("/etc/hosts"), anyFile), List.of("true")));
            return true;
        } catch (IllegalStateException e) {
            return false;
        }
    }
}
