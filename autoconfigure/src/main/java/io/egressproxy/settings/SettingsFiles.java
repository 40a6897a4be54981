package io.egressproxy.settings;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.origin.Origin;
import org.springframework.boot.origin.OriginLookup;
import org.springframework.boot.origin.TextResourceOrigin;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.core.env.EnumerablePropertySource;
import org.springframework.core.env.PropertySource;
import org.springframework.core.io.Resource;

/** The files that an environment was read from, imports and config trees included, and whether they have changed since. */
public final class SettingsFiles {
    private final Set<Path> files;

    private SettingsFiles(Set<Path> files) {
        this.files = files;
    }

    /**
     * The files of an environment.
     *
     * @param environment the environment
     * @return those that at least one property comes from
     */
    public static SettingsFiles of(ConfigurableEnvironment environment) {
        Set<Path> files = new LinkedHashSet<>();
        for (PropertySource<?> source : environment.getPropertySources()) {
            if (source instanceof EnumerablePropertySource<?> enumerable && source instanceof OriginLookup<?>) {
                for (String name : enumerable.getPropertyNames()) {
                    Path file = file(OriginLookup.getOrigin(source, name));
                    if (file != null) {
                        files.add(file);
                    }
                }
            }
        }
        return new SettingsFiles(files);
    }

    /**
     * These and others.
     *
     * @param others more files
     * @return all of them
     */
    public SettingsFiles and(SettingsFiles others) {
        Set<Path> all = new LinkedHashSet<>(files);
        all.addAll(others.files);
        return new SettingsFiles(all);
    }

    private static @Nullable Path file(@Nullable Origin origin) {
        Resource resource = origin instanceof TextResourceOrigin text ? text.getResource() : null;
        if (resource == null || !resource.isFile()) {
            return null;
        }
        try {
            return resource.getFile().toPath().toAbsolutePath();
        } catch (IOException inNoFileSystem) {
            return null;
        }
    }

    /**
     * What the files are like now. Looks at no content, and so misses nothing but a file that is written twice within a tick of the file
     * system's clock, to the same size.
     *
     * @return equal to another one if nothing has changed in between: no file, no directory that holds one, and nothing that a symbolic link
     *     leads to
     */
    public Object fingerprint() {
        Map<Path, String> prints = new LinkedHashMap<>();
        for (Path file : files) {
            prints.computeIfAbsent(file, SettingsFiles::print);
            Path directory = file.getParent();
            if (directory != null) { // a file of another profile may have come
                prints.computeIfAbsent(directory, SettingsFiles::print);
            }
        }
        return prints;
    }

    private static String print(Path path) {
        try {
            BasicFileAttributes attributes = Files.readAttributes(path, BasicFileAttributes.class);
            return path.toRealPath() + " " + attributes.fileKey() + " " + attributes.lastModifiedTime() + " "
                    + attributes.size();
        } catch (IOException missing) {
            return "missing";
        }
    }

    /** The files, for people. */
    @Override
    public String toString() {
        return files.toString();
    }
}
