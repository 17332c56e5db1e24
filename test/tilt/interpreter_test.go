package tilt_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.starlark.net/lib/json"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	yamlutil "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/capmaas/capmaas/test/apiserver"
)

// call is one call of a function of Tilt's: its arguments by name.
type call map[string]any

// asked is what a Tiltfile asked Tilt for.
type asked struct {
	t     *testing.T
	root  string
	calls map[string][]call
	// settings stand in for tilt-settings.yaml.
	settings map[string]any
}

// signatures are the parameters of Tilt's functions, in order; those that a Tiltfile passes by position must be right here.
var signatures = map[string][]string{
	"allow_k8s_contexts":        {"contexts"},
	"cmd_button":                {"name", "resource", "argv", "text", "location", "icon_name", "env", "inputs"},
	"default_registry":          {"host"},
	"docker_build_with_restart": {"ref", "context", "entrypoint", "live_update", "dockerfile_contents", "only"},
	"k8s_resource":              {"workload", "new_name", "port_forwards", "objects", "resource_deps", "labels", "links"},
	"k8s_yaml":                  {"yaml"},
	"local_resource":            {"name", "cmd", "deps", "trigger_mode", "resource_deps", "ignore", "auto_init", "labels", "env"},
	"port_forward":              {"local_port", "container_port", "name"},
	"sync":                      {"local_path", "remote_path"},
	"text_input":                {"name", "label", "default"},
	"trigger_mode":              {"mode"},
	"version_settings":          {"check_updates", "constraint"},
}

// extensions are what the Tiltfile may load.
var extensions = map[string][]string{
	"ext://restart_process": {"docker_build_with_restart"},
	"ext://uibutton":        {"cmd_button", "text_input"},
}

// run executes the Tiltfile with the given settings.
func run(t *testing.T, settings map[string]any) *asked {
	t.Helper()
	a, err := tryRun(t, settings)
	if failure, ok := errors.AsType[*starlark.EvalError](err); ok {
		t.Fatal(failure.Backtrace())
	}
	require.NoError(t, err)
	return a
}

func tryRun(t *testing.T, settings map[string]any) (*asked, error) {
	t.Helper()
	root, err := apiserver.Tree()
	require.NoError(t, err)
	a := &asked{t: t, root: root, calls: map[string][]call{}, settings: settings}
	source, err := os.ReadFile(filepath.Join(root, "Tiltfile"))
	require.NoError(t, err)
	thread := &starlark.Thread{Name: "Tiltfile", Load: a.load}
	dialect := &syntax.FileOptions{Set: true, TopLevelControl: true, GlobalReassign: true, Recursion: true}
	_, err = starlark.ExecFileOptions(dialect, thread, "Tiltfile", source, a.builtins())
	return a, err
}

func (a *asked) load(_ *starlark.Thread, module string) (starlark.StringDict, error) {
	names, known := extensions[module]
	if !known {
		return nil, fmt.Errorf("%s is no extension that this test knows", module)
	}
	functions := starlark.StringDict{}
	for _, name := range names {
		functions[name] = a.note(name)
	}
	return functions, nil
}

// builtins are the functions that a Tiltfile has without loading anything.
func (a *asked) builtins() starlark.StringDict {
	loaded := map[string]bool{}
	for _, names := range extensions {
		for _, name := range names {
			loaded[name] = true
		}
	}
	all := starlark.StringDict{
		"TRIGGER_MODE_AUTO": starlark.String("auto"), "TRIGGER_MODE_MANUAL": starlark.String("manual"),
		"kustomize":          a.text("kustomize", a.kustomize),
		"decode_yaml_stream": a.value("decode_yaml_stream", decodeStream),
		"encode_yaml_stream": a.value("encode_yaml_stream", encodeStream),
		"read_yaml":          starlark.NewBuiltin("read_yaml", a.readYAML),
		"listdir":            a.text("listdir", a.listdir),
		"os": starlarkstruct.FromStringDict(starlarkstruct.Default, starlark.StringDict{
			"path": starlarkstruct.FromStringDict(starlarkstruct.Default, starlark.StringDict{
				"exists": a.text("exists", func(path string) (any, error) {
					_, err := os.Stat(filepath.Join(a.root, path))
					return err == nil, nil
				}),
				"basename": a.text("basename", func(path string) (any, error) { return filepath.Base(path), nil }),
			}),
		}),
	}
	for name := range signatures {
		if !loaded[name] {
			all[name] = a.note(name)
		}
	}
	return all
}

// note gives a function that notes its arguments and gives them back.
func (a *asked) note(name string) *starlark.Builtin {
	return starlark.NewBuiltin(name, func(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		noted := call{}
		for i, value := range args {
			if i >= len(signatures[name]) {
				return nil, fmt.Errorf("%s has %d parameters", name, len(signatures[name]))
			}
			noted[signatures[name][i]] = plain(value)
		}
		for _, pair := range kwargs {
			key, _ := starlark.AsString(pair[0])
			if !slices.Contains(signatures[name], key) {
				return nil, fmt.Errorf("%s has no parameter %s", name, key)
			}
			noted[key] = plain(pair[1])
		}
		a.calls[name] = append(a.calls[name], noted)
		return starlarkValue(map[string]any(noted))
	})
}

// text gives a function of one text, or of none.
func (a *asked) text(name string, of func(string) (any, error)) *starlark.Builtin {
	return a.value(name, func(value any) (any, error) {
		text, ok := value.(string)
		if !ok {
			return nil, fmt.Errorf("%s wants a text, not %T", name, value)
		}
		return of(text)
	})
}

func (a *asked) value(name string, of func(any) (any, error)) *starlark.Builtin {
	return starlark.NewBuiltin(name, func(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		if len(args) != 1 {
			return nil, fmt.Errorf("%s wants one argument", name)
		}
		result, err := of(plain(args[0]))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return starlarkValue(result)
	})
}

func (a *asked) kustomize(dir string) (any, error) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(a.root, dir))
	if err != nil {
		return nil, err
	}
	text, err := built.AsYaml()
	return string(text), err
}

// readYAML gives the settings of the test, whatever lies in the tree.
func (a *asked) readYAML(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var path string
	var fallback starlark.Value
	if err := starlark.UnpackArgs("read_yaml", args, kwargs, "paths", &path, "default?", &fallback); err != nil {
		return nil, err
	}
	if path != "tilt-settings.yaml" && path != "tilt-settings.json" {
		return nil, fmt.Errorf("read_yaml of %s", path)
	}
	if a.settings == nil {
		return fallback, nil
	}
	return starlarkValue(a.settings)
}

// listdir gives absolute paths, as Tilt does.
func (a *asked) listdir(dir string) (any, error) {
	entries, err := os.ReadDir(filepath.Join(a.root, dir))
	if err != nil {
		return nil, err
	}
	var names []any
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, filepath.Join(a.root, dir, e.Name()))
		}
	}
	return names, nil
}

func decodeStream(value any) (any, error) {
	text, ok := value.(string)
	if !ok {
		return nil, fmt.Errorf("wants a text, not %T", value)
	}
	var all []any
	for decoder := yamlutil.NewYAMLOrJSONDecoder(bytes.NewReader([]byte(text)), 4096); ; {
		var object unstructured.Unstructured
		if err := decoder.Decode(&object.Object); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		if len(object.Object) > 0 {
			all = append(all, object.Object)
		}
	}
}

func encodeStream(value any) (any, error) {
	objects, ok := value.([]any)
	if !ok {
		return nil, fmt.Errorf("wants a list, not %T", value)
	}
	var text []byte
	for _, object := range objects {
		one, err := yaml.Marshal(object)
		if err != nil {
			return nil, err
		}
		text = append(append(text, "---\n"...), one...)
	}
	return string(text), nil
}

// starlarkValue turns what JSON can say into Starlark, by JSON.
func starlarkValue(value any) (starlark.Value, error) {
	text, err := yaml.Marshal(value)
	if err != nil {
		return nil, err
	}
	text, err = yaml.YAMLToJSON(text)
	if err != nil {
		return nil, err
	}
	decode := json.Module.Members["decode"].(*starlark.Builtin)
	return starlark.Call(&starlark.Thread{}, decode, starlark.Tuple{starlark.String(text)}, nil)
}

// plain turns Starlark into maps, lists, texts and numbers.
func plain(value starlark.Value) any {
	switch v := value.(type) {
	case starlark.String:
		return string(v)
	case starlark.Bool:
		return bool(v)
	case starlark.Int:
		number, _ := v.Int64()
		return number
	case starlark.Float:
		return float64(v)
	case *starlark.Dict:
		object := map[string]any{}
		for _, item := range v.Items() {
			key, _ := starlark.AsString(item[0])
			object[key] = plain(item[1])
		}
		return object
	case starlark.Iterable:
		list := []any{}
		for element := range starlark.Elements(v) {
			list = append(list, plain(element))
		}
		return list
	default:
		return nil
	}
}
