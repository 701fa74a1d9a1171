package sshtest

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// serve handles one connection to its end.
func (s *Server) serve(c net.Conn) {
	s.Handshakes.add(1)
	sc, chans, reqs, err := ssh.NewServerConn(c, s.conf)
	s.Handshakes.add(-1)
	if err != nil {
		return
	}
	s.Logins.Add(1)
	var work sync.WaitGroup
	work.Go(func() { ssh.DiscardRequests(reqs) })
	var open atomic.Int64
	for nc := range chans {
		switch nc.ChannelType() {
		case "session":
			if open.Add(1) > int64(s.cfg.MaxSession) {
				open.Add(-1)
				nc.Reject(ssh.Prohibited, "open failed")
				continue
			}
			ch, reqs, err := nc.Accept()
			if err != nil {
				open.Add(-1)
				continue
			}
			work.Go(func() {
				defer open.Add(-1)
				s.Sessions.add(1)
				defer s.Sessions.add(-1)
				s.session(ch, reqs)
			})
		case "direct-tcpip":
			work.Go(func() { s.forward(nc) })
		default:
			nc.Reject(ssh.UnknownChannelType, "no")
		}
	}
	sc.Close()
	work.Wait()
}

// session serves the one request a session channel may have.
func (s *Server) session(ch ssh.Channel, reqs <-chan *ssh.Request) {
	defer ch.Close()
	for r := range reqs {
		var m struct{ S string }
		switch {
		case r.Type == "exec" && ssh.Unmarshal(r.Payload, &m) == nil:
			r.Reply(true, nil)
			go ssh.DiscardRequests(reqs)
			s.Commands.Add(1)
			s.exec(ch, m.S)
			return
		case r.Type == "subsystem" && ssh.Unmarshal(r.Payload, &m) == nil && m.S == "sftp" && !s.cfg.NoSFTP:
			r.Reply(true, nil)
			go ssh.DiscardRequests(reqs)
			s.SFTP.Add(1)
			if s.cfg.WrapSFTP != nil {
				ch = s.cfg.WrapSFTP(ch)
			}
			s.files(ch)
			return
		case r.WantReply:
			r.Reply(false, nil)
		}
	}
}

// files serves one SFTP channel.
func (s *Server) files(ch ssh.Channel) {
	var srv interface {
		Serve() error
		Close() error
	}
	if s.cfg.Files != nil {
		srv = sftp.NewRequestServer(ch, *s.cfg.Files)
	} else {
		own, err := sftp.NewServer(ch)
		if err != nil {
			return
		}
		srv = own
	}
	srv.Serve() //nolint:errcheck // the client's end
	srv.Close()
}

// exec runs a command as sshd does: through the login shell, with pipes.
func (s *Server) exec(ch ssh.Channel, line string) {
	if s.cfg.NoExec {
		io.WriteString(ch, "This account is restricted.\n") //nolint:errcheck // a test server
		exit(ch, 1)
		return
	}
	if s.cfg.Exec != nil {
		if status := s.cfg.Exec(line, ch, ch, ch.Stderr()); status >= 0 {
			exit(ch, uint32(status))
		}
		return
	}
	io.WriteString(ch, s.cfg.Noise)          //nolint:errcheck // a test server
	io.WriteString(ch.Stderr(), s.cfg.Noise) //nolint:errcheck // a test server
	args := append(append([]string{}, s.shell[1:]...), line)
	cmd := exec.Command(s.shell[0], args...)
	cmd.Env = append(os.Environ(), s.cfg.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		exit(ch, 255)
		return
	}
	cmd.Stdout, cmd.Stderr = ch, ch.Stderr()
	if err := cmd.Start(); err != nil {
		io.WriteString(ch.Stderr(), err.Error()) //nolint:errcheck // a test server
		exit(ch, 127)
		return
	}
	go func() {
		io.Copy(stdin, ch) //nolint:errcheck // the command's end
		stdin.Close()
	}()
	err = cmd.Wait()
	var ee *exec.ExitError
	if errors.As(err, &ee) {
		if ws, ok := ee.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			name := map[syscall.Signal]string{syscall.SIGKILL: "KILL", syscall.SIGTERM: "TERM"}[ws.Signal()]
			m := struct {
				Signal string
				Core   bool
				Msg    string
				Lang   string
			}{Signal: name}
			ch.SendRequest("exit-signal", false, ssh.Marshal(&m)) //nolint:errcheck // a test server
			return
		}
		exit(ch, uint32(ee.ExitCode()))
		return
	}
	exit(ch, 0)
}

func exit(ch ssh.Channel, status uint32) {
	ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status})) //nolint:errcheck // a test server
}

// forward serves one direct-tcpip channel.
func (s *Server) forward(nc ssh.NewChannel) {
	var m struct {
		Addr  string
		Port  uint32
		Orig  string
		OPort uint32
	}
	if err := ssh.Unmarshal(nc.ExtraData(), &m); err != nil {
		nc.Reject(ssh.ConnectionFailed, "bad request")
		return
	}
	c, err := net.Dial("tcp", net.JoinHostPort(m.Addr, strconv.Itoa(int(m.Port))))
	if err != nil {
		nc.Reject(ssh.ConnectionFailed, err.Error())
		return
	}
	ch, reqs, err := nc.Accept()
	if err != nil {
		c.Close()
		return
	}
	s.Forwards.Add(1)
	go ssh.DiscardRequests(reqs)
	var both sync.WaitGroup
	both.Go(func() { io.Copy(ch, c); ch.Close(); c.Close() }) //nolint:errcheck // a test server
	both.Go(func() { io.Copy(c, ch); c.Close(); ch.Close() }) //nolint:errcheck // a test server
	both.Wait()
}
