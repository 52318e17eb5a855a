// Command health reads Kubernetes objects, one JSON document after the other, and prints what two tools make of each:
// kstatus by its own library, and Argo CD by a script, in the interpreter and with the libraries that Argo CD gives it.
//
//	health charts/clipfarm/files/health.lua < runs.json
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

// An opinion is what one tool shows of an object.
type opinion struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

func main() {
	if err := run(os.Args, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "health:", err)
		os.Exit(1)
	}
}

func run(arguments []string, in io.Reader, out io.Writer) error {
	if len(arguments) != 2 {
		return errors.New("expected one argument, the script")
	}
	script, err := os.ReadFile(arguments[1])
	if err != nil {
		return err
	}
	objects := json.NewDecoder(in)
	for {
		var text json.RawMessage
		if err := objects.Decode(&text); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		var object unstructured.Unstructured
		if err := object.UnmarshalJSON(text); err != nil { // whole numbers are int64 then, as kstatus expects
			return err
		}
		computed, err := status.Compute(&object)
		if err != nil {
			return err
		}
		judged, err := judge(string(script), object.Object)
		if err != nil {
			return err
		}
		found := map[string]opinion{
			"kstatus": {string(computed.Status), computed.Message},
			"argocd":  judged,
		}
		if err := json.NewEncoder(out).Encode(found); err != nil {
			return err
		}
	}
}

// judge runs a health script as Argo CD does: the object is the global obj, and of Lua's libraries there are only
// package, base and table (Argo CD has a safe part of os beside them, which a health check has no use for).
func judge(script string, object map[string]any) (opinion, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable,
	} {
		call := lua.P{Fn: state.NewFunction(open), Protect: true}
		if err := state.CallByParam(call, lua.LString(name)); err != nil {
			return opinion{}, err
		}
	}
	state.SetGlobal("obj", value(state, object))
	if err := state.DoString(script); err != nil {
		return opinion{}, err
	}
	table, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return opinion{}, fmt.Errorf("the script returned a %s, expected a table", state.Get(-1).Type())
	}
	return opinion{lua.LVAsString(table.RawGetString("status")), lua.LVAsString(table.RawGetString("message"))}, nil
}

func value(state *lua.LState, of any) lua.LValue {
	switch found := of.(type) {
	case bool:
		return lua.LBool(found)
	case string:
		return lua.LString(found)
	case int64:
		return lua.LNumber(found)
	case float64:
		return lua.LNumber(found)
	case []any:
		table := state.CreateTable(len(found), 0)
		for _, each := range found {
			table.Append(value(state, each))
		}
		return table
	case map[string]any:
		table := state.CreateTable(0, len(found))
		for key, each := range found {
			table.RawSetString(key, value(state, each))
		}
		return table
	default:
		return lua.LNil
	}
}
